"""Losses: what is minimised, as a formula; and a library of them.

Every function of the library returns a `Loss` with a source, a suggested box and its known
critical points.

Examples
--------
>>> beale().known[0]
((3.0, 0.5), 'minimum')
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import NoReturn

from samdyn.losses.check import Check
from samdyn.losses.classic import (
    beale,
    booth,
    goldstein_price,
    himmelblau,
    matyas,
    mueller_brown,
    rastrigin,
    rosenbrock,
    six_hump_camel,
    styblinski_tang,
    three_hump_camel,
)
from samdyn.losses.critical import CriticalPoint
from samdyn.losses.formula import FormulaError
from samdyn.losses.loss import Loss
from samdyn.losses.manifolds import (
    crossed_sharpness,
    product_chain,
    scalar_factorization,
    single_neuron,
    tanh_network,
    two_residuals,
)
from samdyn.losses.models import (
    diagonal_network,
    least_squares,
    linear_autoencoder,
    quadratic_neuron,
)
from samdyn.losses.saddles import (
    double_well,
    embedded_saddle,
    hyperbolic_saddle,
    monkey_saddle,
    quadratic,
    quadratic_saddle,
    quartic_saddle,
    quartic_well,
    symmetric_wells,
)
from samdyn.losses.valleys import (
    arctan_valley,
    cosine,
    gaussian_wells,
    log_cosh,
    pseudo_huber,
    rotated_bowls,
    tanh_squared,
    two_parabolas,
)

LIBRARY: tuple[Callable[..., Loss], ...] = (
    quadratic,
    quadratic_saddle,
    hyperbolic_saddle,
    quartic_saddle,
    embedded_saddle,
    monkey_saddle,
    quartic_well,
    double_well,
    symmetric_wells,
    gaussian_wells,
    log_cosh,
    arctan_valley,
    pseudo_huber,
    tanh_squared,
    cosine,
    two_parabolas,
    rotated_bowls,
    scalar_factorization,
    product_chain,
    single_neuron,
    tanh_network,
    crossed_sharpness,
    two_residuals,
    quadratic_neuron,
    linear_autoencoder,
    diagonal_network,
    least_squares,
    beale,
    rosenbrock,
    himmelblau,
    six_hump_camel,
    three_hump_camel,
    styblinski_tang,
    rastrigin,
    booth,
    matyas,
    goldstein_price,
    mueller_brown,
)
"""The library's losses, in the order in which they are listed."""


def names() -> tuple[str, ...]:
    """The names of the library's losses."""
    return tuple(function.__name__ for function in LIBRARY)


def get(name: str) -> Callable[..., Loss]:
    """The library's function of a name, to be called for the loss.

    Raises
    ------
    ValueError
        If there is none; the message lists the nearest names.

    Examples
    --------
    >>> get("beale")().variables
    ('x', 'y')
    """
    functions = dict(zip(names(), LIBRARY, strict=True))
    if name not in functions:
        raise ValueError(f"{name!r} is no loss of the library; {_hint(name)}")
    return functions[name]


def _hint(name: str) -> str:
    near = get_close_matches(str(name), names(), n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"


def __getattr__(name: str) -> NoReturn:
    raise AttributeError(f"samdyn.losses has no {name!r}; {_hint(name)}")


__all__ = [
    "LIBRARY",
    "Check",
    "CriticalPoint",
    "FormulaError",
    "Loss",
    "get",
    "names",
    *(function.__name__ for function in LIBRARY),
]
