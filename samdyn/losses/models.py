"""Small models on a few samples, written out as one formula of their weights.

Each formula is the loss over all samples. Where the minima form a manifold its points are
degenerate; a few of them are listed as examples, beside the critical points that are isolated.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import copysign, sqrt

import numpy as np

from samdyn.losses.critical import classify
from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive

_OWN_DATA = "the data are a choice made here"


def quadratic_neuron(
    inputs: Sequence[Number] = (0.5, 1.0, 1.5), targets: Sequence[Number] = (0.25, 1.0, 2.25)
) -> Loss:
    """Two layers, one neuron with activation x**2, squared loss: the mean of (v*(u*x)**2 - y)**2.

    The global minima are a curve v*u**2 = constant. The line u = 0 is critical as well: a
    saddle region for v > 0. Nothing is isolated.

    Parameters
    ----------
    inputs, targets : sequence of float
        One each a sample: the constants x1, x2, … and y1, y2, … of the formula.

    Notes
    -----
    Source: Kim et al., arXiv 2301.06308, after Ziyin et al., arXiv 2107.11774. They do not
    print the data; the default is a target the network can represent.
    """
    constants = _samples([(x,) for x in inputs], targets)
    n = len(targets)
    formula = " + ".join(f"(v*(u*x{i})**2 - y{i})**2" for i in range(1, n + 1))
    renamed = {name.replace("_1", ""): value for name, value in constants.items()}

    def known(**given: float) -> list:
        x, y = (np.array([given[f"{name}{i + 1}"] for i in range(n)]) for name in "xy")
        best = float(np.sum(x**2 * y) / np.sum(x**4))
        return [((0, 1), "degenerate"), ((1, best), "degenerate")]

    return Loss(f"({formula})/{n}", variables="u v", **renamed).described(
        "quadratic_neuron",
        f"Kim et al., arXiv 2301.06308, after Ziyin et al., arXiv 2107.11774; {_OWN_DATA}",
        [(-2, 2), (-2, 2)],
        known,
    )


def linear_autoencoder(variance1: Number = 2.0, variance2: Number = 1.0) -> Loss:
    """A linear autoencoder of two inputs with one hidden unit.

    Half the expected squared error of x -> b*(a·x), for uncorrelated inputs of the given
    variances. The origin is a saddle; on curves lie the minima, where the unit carries the
    first input, and further saddles, where it carries the second.

    Parameters
    ----------
    variance1, variance2 : float
        Positive; the first the larger.

    Notes
    -----
    Source: after Monzio Compagnoni et al., arXiv 2301.08203; the variances are chosen here.
    """
    check_positive(variance1=variance1, variance2=variance2)
    return Loss(
        "(variance1*((1 - a1*b1)**2 + (a1*b2)**2) + variance2*((1 - a2*b2)**2 + (a2*b1)**2))/2",
        variables="a1 a2 b1 b2",
        variance1=variance1,
        variance2=variance2,
    ).described(
        "linear_autoencoder",
        "after Monzio Compagnoni et al., arXiv 2301.08203; variances chosen here",
        [(-1.5, 1.5)] * 4,
        [
            ((0, 0, 0, 0), "saddle"),
            ((1, 0, 1, 0), "degenerate"),
            ((0, 1, 0, 1), "degenerate"),
        ],
    )


def diagonal_network(
    inputs: Sequence[Sequence[Number]] = ((1.0, 0.5),), targets: Sequence[Number] = (1.0,)
) -> Loss:
    """A diagonal linear network: least squares in the products u_j*v_j of two layers.

    Half the mean squared error. The origin is a saddle unless the data leave a coordinate
    undecided; minima form manifolds, on which SAM prefers sparse products.

    Parameters
    ----------
    inputs : sequence of sequences of float
        One row a sample: the constants x1_1, x1_2, … of the formula (sample, feature).
    targets : sequence of float
        One a sample: the constants y1, y2, …

    Notes
    -----
    Source: Andriushchenko and Flammarion, arXiv 2206.06232; the data are a choice made here.
    """
    constants = _samples(inputs, targets)
    n, d = len(inputs), len(inputs[0])
    formula = _mean_square(n, d, "u{j}*v{j}")
    names = [f"{layer}{j}" for layer in "uv" for j in range(1, d + 1)]

    def known(**given: float) -> list:
        x, y = _arrays(given, n, d)
        pull = x.T @ y / n
        points = [((0.0,) * (2 * d), classify(np.concatenate([pull, -pull])))]
        if n == 1 and x[0, 0] * y[0]:
            product = float(y[0] / x[0, 0])
            u = [sqrt(abs(product))] + [0.0] * (d - 1)
            v = [copysign(u[0], product)] + [0.0] * (d - 1)
            points.append(((*u, *v), "degenerate"))
        return points

    return Loss(formula, variables=names, **constants).described(
        "diagonal_network",
        f"Andriushchenko and Flammarion, arXiv 2206.06232; {_OWN_DATA}",
        [(-1.5, 1.5)] * (2 * d),
        known,
    )


def least_squares(
    inputs: Sequence[Sequence[Number]] = ((1.0, 0.25), (0.5, 1.0), (-0.5, 0.75)),
    targets: Sequence[Number] = (0.75, -0.5, -1.25),
) -> Loss:
    """Linear regression, half the mean squared error of w·x against y.

    With fewer samples than weights the minima form a plane.

    Parameters
    ----------
    inputs : sequence of sequences of float
        One row a sample: the constants x1_1, x1_2, … of the formula (sample, feature).
    targets : sequence of float
        One a sample: the constants y1, y2, … By default w = (1, -1) fits all of them.

    Notes
    -----
    Source: the linearised models of Zhou et al., arXiv 2410.10373, Theorems 4.1 to 4.3; the
    data are a choice made here.

    Examples
    --------
    >>> float(least_squares().value([1.0, -1.0]))
    0.0
    """
    constants = _samples(inputs, targets)
    n, d = len(inputs), len(inputs[0])

    def known(**given: float) -> list:
        x, y = _arrays(given, n, d)
        best = np.linalg.lstsq(x, y)[0]
        return [(tuple(best), classify(np.linalg.eigvalsh(x.T @ x / n)))]

    return Loss(
        _mean_square(n, d, "w{j}"), variables=[f"w{j + 1}" for j in range(d)], **constants
    ).described(
        "least_squares",
        f"Zhou et al., arXiv 2410.10373, Theorems 4.1 to 4.3; {_OWN_DATA}",
        [(-3, 3)] * d,
        known,
    )


def _samples(inputs: Sequence[Sequence[Number]], targets: Sequence[Number]) -> dict[str, Number]:
    if len(inputs) == 0 or len(inputs) != len(targets) or len({len(row) for row in inputs}) != 1:
        raise ValueError(
            f"inputs and targets must have one equally long row and one number a sample; got "
            f"{len(inputs)} rows of lengths {[len(row) for row in inputs]} and "
            f"{len(targets)} targets"
        )
    features = {
        f"x{k}_{j}": value
        for k, row in enumerate(inputs, start=1)
        for j, value in enumerate(row, start=1)
    }
    return features | {f"y{k}": value for k, value in enumerate(targets, start=1)}


def _mean_square(n: int, d: int, weight: str) -> str:
    residuals = (
        " + ".join(f"x{k}_{j}*{weight.format(j=j)}" for j in range(1, d + 1)) + f" - y{k}"
        for k in range(1, n + 1)
    )
    return f"({' + '.join(f'({residual})**2' for residual in residuals)})/{2 * n}"


def _arrays(given: dict[str, float], n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    x = [[given[f"x{k}_{j}"] for j in range(1, d + 1)] for k in range(1, n + 1)]
    return np.array(x), np.array([given[f"y{k}"] for k in range(1, n + 1)])
