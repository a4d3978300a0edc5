"""Classic test functions of optimisation, with all of their critical points in the box."""

from __future__ import annotations

from itertools import pairwise, product
from math import acos, cos, pi, sqrt

from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive


def beale() -> Loss:
    """Beale's function: one minimum at (3, 0.5), and a saddle at (0, 1) that traps SAM.

    Notes
    -----
    Source: Beale (1958); Kim et al., arXiv 2301.06308, who start at (1, 2) with rho 0, 0.1,
    0.5 and 1. The saddle's eigenvalues are ±27.75.

    Examples
    --------
    >>> [c.kind for c in beale().critical_points()]
    ['minimum', 'saddle', 'saddle']
    """
    return Loss("(1.5 - x + x*y)**2 + (2.25 - x + x*y**2)**2 + (2.625 - x + x*y**3)**2").described(
        "beale",
        "Beale (1958); Kim et al., arXiv 2301.06308",
        [(-4.5, 4.5), (-4.5, 4.5)],
        [
            ((3, 0.5), "minimum"),
            ((0, 1), "saddle"),
            ((0.10053793732415836, -2.644513585023125), "saddle"),
        ],
    )


def rosenbrock(dimension: int = 2, b: Number = 100.0) -> Loss:
    """Rosenbrock's curved valley, the sum of b*(x_(i+1) - x_i**2)**2 + (1 - x_i)**2.

    Parameters
    ----------
    dimension : int
        At least 2. Up to 3 the minimum at (1, …, 1) is the only critical point; beyond, a
        local minimum and saddles that are not listed appear near x_1 = -1.
    b : float
        Positive: how steep the valley is.

    Notes
    -----
    Source: Rosenbrock, The Computer Journal 3, 175 (1960).
    """
    _whole(dimension, 2)
    check_positive(b=b)
    names = [f"x{i + 1}" for i in range(dimension)]
    formula = " + ".join(f"b*({after} - {x}**2)**2 + (1 - {x})**2" for x, after in pairwise(names))
    return Loss(formula, variables=names, b=b).described(
        "rosenbrock",
        "Rosenbrock, The Computer Journal 3, 175 (1960)",
        [(-2, 2)] * dimension,
        [((1,) * dimension, "minimum")],
    )


def himmelblau() -> Loss:
    """Himmelblau's function: four equal minima, four saddles and a maximum.

    Notes
    -----
    Source: Himmelblau, Applied Nonlinear Programming (1972).
    """
    return Loss("(x**2 + y - 11)**2 + (x + y**2 - 7)**2").described(
        "himmelblau",
        "Himmelblau, Applied Nonlinear Programming (1972)",
        [(-6, 6), (-6, 6)],
        [
            ((3, 2), "minimum"),
            ((-3.779310253377747, -3.2831859912861696), "minimum"),
            ((3.5844283403304917, -1.8481265269644036), "minimum"),
            ((-2.805118086952745, 3.131312518250573), "minimum"),
            ((3.385154183607021, 0.07385187983774928), "saddle"),
            ((0.08667750455539636, 2.884254701174776), "saddle"),
            ((-3.0730257507643897, -0.08135304428796751), "saddle"),
            ((-0.12796134673068008, -1.9537149802445763), "saddle"),
            ((-0.2708445906673476, -0.9230385564799815), "maximum"),
        ],
    )


def six_hump_camel() -> Loss:
    """The six-hump camel: six minima, seven saddles and two maxima, symmetric about 0.

    Notes
    -----
    Source: Dixon and Szegö, Towards Global Optimisation 2 (1978).
    """
    half = [
        ((0.08984201310031806, -0.7126564030207396), "minimum"),
        ((1.703606714969981, -0.7960835686726251), "minimum"),
        ((1.6071047529201972, 0.5686514548841314), "minimum"),
        ((1.1092053368047865, -0.7682680925095399), "saddle"),
        ((1.6380679841897785, 0.22867406904439408), "saddle"),
        ((1.2960702671671092, 0.6050843880386585), "saddle"),
        ((1.2302298765166526, 0.16233458445899496), "maximum"),
    ]
    return Loss("(4 - 2.1*x**2 + x**4/3)*x**2 + x*y + (-4 + 4*y**2)*y**2").described(
        "six_hump_camel",
        "Dixon and Szegö, Towards Global Optimisation 2 (1978)",
        [(-3, 3), (-2, 2)],
        [((0, 0), "saddle"), *half, *(((-x, -y), kind) for (x, y), kind in half)],
    )


def three_hump_camel() -> Loss:
    """The three-hump camel: three minima and two saddles on the line y = -x/2.

    Notes
    -----
    Source: Dixon and Szegö, Towards Global Optimisation 2 (1978).
    """
    inner, outer = (sqrt(2.1 + sign * sqrt(0.91)) for sign in (-1, 1))
    return Loss("2*x**2 - 1.05*x**4 + x**6/6 + x*y + y**2").described(
        "three_hump_camel",
        "Dixon and Szegö, Towards Global Optimisation 2 (1978)",
        [(-5, 5), (-5, 5)],
        [((0, 0), "minimum")]
        + [((s * outer, -s * outer / 2), "minimum") for s in (1, -1)]
        + [((s * inner, -s * inner / 2), "saddle") for s in (1, -1)],
    )


def styblinski_tang(dimension: int = 2) -> Loss:
    """Styblinski and Tang's function: in every coordinate two minima of different depth.

    Parameters
    ----------
    dimension : int
        Number of coordinates, d. There are 2**d minima and 3**d critical points.

    Notes
    -----
    Source: Styblinski and Tang, Neural Networks 3, 467 (1990).

    Examples
    --------
    >>> len(styblinski_tang(3).known)
    27
    """
    _whole(dimension, 1)
    # the roots of 4*x**3 - 32*x + 5 by Viète's formula, ascending
    angle = acos(-15 / 64 * sqrt(3 / 8)) / 3
    roots = sorted(2 * sqrt(8 / 3) * cos(angle - 2 * pi * k / 3) for k in range(3))
    return Loss(
        " + ".join(f"({x}**4 - 16*{x}**2 + 5*{x})/2" for x in _names(dimension)),
        variables=_names(dimension),
    ).described(
        "styblinski_tang",
        "Styblinski and Tang, Neural Networks 3, 467 (1990)",
        [(-5, 5)] * dimension,
        [
            (tuple(roots[i] for i in which), _mixed_kind([i != 1 for i in which]))
            for which in product(range(3), repeat=dimension)
        ],
    )


def rastrigin(dimension: int = 2, amplitude: Number = 10.0) -> Loss:
    """Rastrigin's function: a bowl under a lattice of ripples.

    Of its many critical points only the global minimum at 0 is listed.

    Parameters
    ----------
    dimension : int
        Number of coordinates.
    amplitude : float
        Of the ripples; positive.

    Notes
    -----
    Source: Rastrigin, Systems of Extremal Control (1974).
    """
    _whole(dimension, 1)
    check_positive(amplitude=amplitude)
    formula = " + ".join(f"{x}**2 + amplitude*(1 - cos(2*pi*{x}))" for x in _names(dimension))
    return Loss(formula, variables=_names(dimension), amplitude=amplitude).described(
        "rastrigin",
        "Rastrigin, Systems of Extremal Control (1974)",
        [(-5.12, 5.12)] * dimension,
        [((0,) * dimension, "minimum")],
    )


def booth() -> Loss:
    """Booth's function: a skew quadratic bowl with its minimum at (1, 3)."""
    return Loss("(x + 2*y - 7)**2 + (2*x + y - 5)**2").described(
        "booth", "standard", [(-10, 10), (-10, 10)], [((1, 3), "minimum")]
    )


def matyas() -> Loss:
    """Matyas' function: a flat quadratic bowl, 25 times steeper across than along."""
    return Loss("0.26*(x**2 + y**2) - 0.48*x*y").described(
        "matyas", "standard", [(-10, 10), (-10, 10)], [((0, 0), "minimum")]
    )


def goldstein_price() -> Loss:
    """Goldstein and Price's function: four minima, and values over six orders of magnitude.

    Notes
    -----
    Source: Goldstein and Price, Mathematics of Computation 25, 569 (1971).
    """
    return Loss(
        "(1 + (x + y + 1)**2*(19 - 14*x + 3*x**2 - 14*y + 6*x*y + 3*y**2))"
        "*(30 + (2*x - 3*y)**2*(18 - 32*x + 12*x**2 + 48*y - 36*x*y + 27*y**2))"
    ).described(
        "goldstein_price",
        "Goldstein and Price, Mathematics of Computation 25, 569 (1971)",
        [(-2, 2), (-2, 2)],
        [
            *((point, "minimum") for point in ((0, -1), (-0.6, -0.4), (1.8, 0.2), (1.2, 0.8))),
            *((point, "saddle") for point in ((-0.4, -0.6), (1.2, -0.2), (1.4, 0.6), (0.6, 0.4))),
            ((0.8, 0.2), "maximum"),
        ],
    )


def mueller_brown() -> Loss:
    """Müller and Brown's potential: three minima in a bent valley, joined by two saddles.

    Notes
    -----
    Source: Müller and Brown, Theoretica Chimica Acta 53, 75 (1979).
    """
    return Loss(
        "-200*exp(-(x - 1)**2 - 10*y**2) - 100*exp(-x**2 - 10*(y - 0.5)**2)"
        " - 170*exp(-6.5*(x + 0.5)**2 + 11*(x + 0.5)*(y - 1.5) - 6.5*(y - 1.5)**2)"
        " + 15*exp(0.7*(x + 1)**2 + 0.6*(x + 1)*(y - 1) + 0.7*(y - 1)**2)"
    ).described(
        "mueller_brown",
        "Müller and Brown, Theoretica Chimica Acta 53, 75 (1979)",
        [(-1.75, 1.25), (-0.5, 2.25)],
        [
            ((-0.5582236346330243, 1.4417258418046686), "minimum"),
            ((0.6234994049308765, 0.028037758528685664), "minimum"),
            ((-0.050010822998206056, 0.4666941048719721), "minimum"),
            ((0.212486582000662, 0.2929883251073678), "saddle"),
            ((-0.8220015587327321, 0.6243128028148713), "saddle"),
        ],
    )


def _names(dimension: int) -> list[str]:
    return [f"x{i + 1}" for i in range(dimension)]


def _whole(dimension: int, least: int) -> None:
    if not isinstance(dimension, int) or dimension < least:
        raise ValueError(f"dimension must be a whole number of at least {least}, got {dimension!r}")


def _mixed_kind(is_minimum: list[bool]) -> str:
    if all(is_minimum):
        return "minimum"
    return "saddle" if any(is_minimum) else "maximum"
