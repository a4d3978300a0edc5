"""Losses whose minima form a curve or a surface, along which sharpness varies.

The points of such a manifold are degenerate critical points. A few of them are listed with
each loss as examples, beside all critical points that are isolated.
"""

from __future__ import annotations

from math import sqrt

from samdyn.losses.loss import Loss
from samdyn.numbers import Number, check_positive


def scalar_factorization(target: Number = 1.0, scale: Number = 1.0) -> Loss:
    """The factorisation of a number, scale*(x*y - target)**2.

    Its minima are the hyperbola x*y = target, of sharpness 2*scale*(x**2 + y**2): SAM drifts
    along it towards |x| = |y|.

    Parameters
    ----------
    target : float
        The product to reach; positive for the listed points.
    scale : float
        Positive; 0.5 makes it a squared loss with the usual half.

    Notes
    -----
    Source: Si and Yun, arXiv 2306.09850, Figure 1.

    Examples
    --------
    >>> scalar_factorization().hessian([1.0, 1.0])
    array([[2., 2.],
           [2., 2.]])
    """
    check_positive(scale=scale)

    def known(target: float, scale: float) -> list:
        if target <= 0:
            return []
        root = sqrt(target)
        minima = [((root, root), "degenerate"), ((-root, -root), "degenerate")]
        return [((0, 0), "saddle"), *minima]

    return Loss("scale*(x*y - target)**2", variables="x y", target=target, scale=scale).described(
        "scalar_factorization", "Si and Yun, arXiv 2306.09850", [(-3, 3), (-3, 3)], known
    )


def product_chain(depth: int = 3, target: Number = 1.0) -> Loss:
    """A deep linear network with one unit a layer, (w1*w2*…*wd - target)**2/2.

    Parameters
    ----------
    depth : int
        Number of layers, at least 2. The origin is a saddle for 2 layers and beyond that a
        degenerate one, which lies on planes of degenerate critical points.
    target : float
        The product to reach; positive for the listed points.
    """
    if not isinstance(depth, int) or depth < 2:
        raise ValueError(f"depth must be a whole number of at least 2, got {depth!r}")
    names = [f"w{i + 1}" for i in range(depth)]

    def known(target: float) -> list:
        if target <= 0:
            return []
        origin = ((0,) * depth, "saddle" if depth == 2 else "degenerate")
        return [origin, ((1,) * (depth - 1) + (target,), "degenerate")]

    return Loss(f"({'*'.join(names)} - target)**2/2", variables=names, target=target).described(
        "product_chain", "standard", [(-2, 2)] * depth, known
    )


def single_neuron() -> Loss:
    """A neuron behind a weight, sqrt(1 + (x*y)**2) - 1: SAM drifts to the flat end, GD stops.

    The minima are the two axes; on x = 0 the sharpness is y**2. All are degenerate.

    Notes
    -----
    Source: Dai, Ahn and Sra, arXiv 2305.15287. That their neuron has this loss is recalled,
    not read in the paper.
    """
    return Loss("sqrt(1 + x**2*y**2) - 1").described(
        "single_neuron",
        "after Dai, Ahn and Sra, arXiv 2305.15287",
        [(-4, 4), (-4, 4)],
        [((0, 2), "degenerate"), ((0, 0), "degenerate"), ((1, 0), "degenerate")],
    )


def tanh_network() -> Loss:
    """A two-layer tanh network on one sample, tanh(v*tanh(u))**2/2.

    The minima are the lines v = 0, of sharpness tanh(u)**2, and u = 0, of sharpness v**2. All
    are degenerate. GD ends at a sharp point, and SAM started there moves to a flatter one.

    Notes
    -----
    Source: Zhou et al., arXiv 2410.10373, Example 4.1, with the sample (1, 0). Their figure
    has GD from (1.6, 0.3) at lr 2.5, then normalised SAM with rho 0.05.
    """
    return Loss("tanh(v*tanh(u))**2/2", variables="u v").described(
        "tanh_network",
        "Zhou et al., arXiv 2410.10373, Example 4.1",
        [(-2, 2), (-1, 1)],
        [((1.6, 0), "degenerate"), ((0, 0), "degenerate"), ((0, 0.5), "degenerate")],
    )


_PARTS = {"s": [1.0, 0.0]}
"""Two samples, of which s*A + (1 - s)*B takes A and B."""


def crossed_sharpness(samples: bool = False) -> Loss:
    """F1(x1, x2)*x3**2 + F2(x1, x2)*x4**2: where SAM ends tells which sharpness it lowers.

    The minima are the plane x3 = x4 = 0, where the Hessian's eigenvalues are 2*F1 and 2*F2
    with F1 = x1**2 + 6*x2**2 + 8 and F2 = 4*(1 - x1)**2 + (1 - x2)**2 + 1. Full-batch SAM goes
    to the minimum of F1 at (0, 0), the ascent-direction loss has the minimum of F2 at (1, 1),
    and one-sample SAM on the two summands goes to the minimum of F1 + F2 at (4/5, 1/7).

    Parameters
    ----------
    samples : bool, default False
        Whether the two summands are samples of a finite sum: the loss is then their mean, half as
        large.

    Notes
    -----
    Source: Wen, Ma and Li, arXiv 2211.05729, Figure 1. The form is printed in the paper; the
    constants of F1 and F2 are recalled, and not confirmed against its appendix.
    """
    one, other = "(x1**2 + 6*x2**2 + 8)*x3**2", "(4*(1 - x1)**2 + (1 - x2)**2 + 1)*x4**2"
    return _of_parts(one, other, samples, "x1 x2 x3 x4").described(
        "crossed_sharpness",
        "Wen, Ma and Li, arXiv 2211.05729, Figure 1; constants recalled",
        [(-0.5, 1.5), (-0.5, 1.5), (-1, 1), (-1, 1)],
        [((0, 0, 0, 0), "degenerate"), ((1, 1, 0, 0), "degenerate")],
    )


def two_residuals(y1: Number = 0.0, y2: Number = 0.0, samples: bool = False) -> Loss:
    """Nonlinear least squares with 5 weights and 2 samples: minima on a curved 3-surface.

    Parameters
    ----------
    y1, y2 : float
        The targets.
    samples : bool, default False
        Whether the two residuals are samples of a finite sum.

    Notes
    -----
    Source: an instance of Setting 5.1 of Wen, Ma and Li, arXiv 2211.05729, chosen here.
    """
    one, other = "(w1 + w2**2/2 + w3*w4 - y1)**2/2", "(w2 + w4*w5 - w1*w3 - y2)**2/2"
    if not samples:
        one, other = f"{one}/2", f"{other}/2"
    return _of_parts(one, other, samples, "w1 w2 w3 w4 w5", y1=y1, y2=y2).described(
        "two_residuals",
        "an instance of Wen, Ma and Li, arXiv 2211.05729, Setting 5.1, chosen here",
        [(-1, 1)] * 5,
        lambda y1, y2: [((y1 - y2**2 / 2, y2, 0, 0, 0), "degenerate")],
    )


def _of_parts(one: str, other: str, samples: bool, variables: str, **constants: Number) -> Loss:
    """The sum of two terms, or a finite sum of which each is a sample."""
    if samples:
        return Loss(f"s*({one}) + (1 - s)*({other})", variables, data=_PARTS, **constants)
    return Loss(f"{one} + {other}", variables, **constants)
