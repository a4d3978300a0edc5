"""exp, log, sin, cos and tanh for the lane kernels: no branches, no tables, no calls.

A call to libm stops LLVM from vectorising the lane loop. These are plain arithmetic with
selects, so that eight lanes go through them as one would. Each reduces its argument to an
interval where a Taylor series of modest degree reaches full precision; errors against exact
values are below 1 unit in the last place for exp, log, sin and cos and below 2.5 for tanh. For
arguments beyond 1e6 in size sin and cos answer for an argument rounded once more, and beyond
1e15 they are NaN.

The text of a function, and of those it uses, is copied into each kernel that needs it. It is
plain Python on floats, with the two bit operations that Numba and NumPy scalars share.
"""

from __future__ import annotations

import inspect
from types import FunctionType

import numpy as np


def nearest(x):
    """The nearest whole number, ties to even, for sizes below 2**51."""
    return (x + 6755399441055744.0) - 6755399441055744.0


def power_of_two(k):
    """2**k for a whole number k from -1022 to 1023."""
    return np.int64((np.float64(k + 6755399441055744.0).view(np.int64) + 1023) << 52).view(
        np.float64
    )


def expm1_small(r):
    """exp(r) - 1 for abs(r) <= 0.35."""
    s = 1.0 / 39916800.0 + r * (1.0 / 479001600.0 + r * (1.0 / 6227020800.0))
    s = 1.0 / 40320.0 + r * (1.0 / 362880.0 + r * (1.0 / 3628800.0 + r * s))
    s = 1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0 + r * s))
    return r + r * r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * s)))


def reduced_exp(x):
    """Whole k and small r with x = k log 2 + r."""
    k = nearest(x * 1.4426950408889634)
    return k, (x - k * 0.6931471803691238) - k * 1.9082149292705877e-10


def exp(x):
    """The exponential."""
    y = min(max(x, -746.0), 710.0)
    k, r = reduced_exp(y)
    half = nearest(0.5 * k)  # 2**k itself may overflow or be subnormal
    value = (1.0 + expm1_small(r)) * power_of_two(half) * power_of_two(k - half)
    return value if x == x else x


def tanh(x):
    """The hyperbolic tangent."""
    y = min(abs(x), 22.0)
    k, r = reduced_exp(2.0 * y)
    scale = power_of_two(k)
    e = scale * expm1_small(r) + (scale - 1.0)
    value = e / (e + 2.0)
    value = value if x >= 0.0 else -value
    return value if x == x else x


def log(x):
    """The natural logarithm."""
    tiny = x < 2.2250738585072014e-308
    y = x * 18014398509481984.0 if tiny else x
    bits = np.float64(y).view(np.int64)
    # an exponent field near that of sqrt(1/2) splits x into 2**k times a number around 1
    shifted = bits - np.int64(0x3FE6A09E667F3BCD)
    k = shifted >> 52
    m = np.int64(bits - (k << 52)).view(np.float64)
    # a whole number becomes a float by way of its bits, which vectorises everywhere
    k = np.int64(k + np.int64(0x4338000000000000)).view(np.float64) - 6755399441055744.0
    k = k - 54.0 if tiny else k
    f = m - 1.0
    s = f / (2.0 + f)
    z = s * s
    t = 1.0 / 17.0 + z * (1.0 / 19.0 + z * (1.0 / 21.0 + z * (1.0 / 23.0)))
    t = 1.0 / 9.0 + z * (1.0 / 11.0 + z * (1.0 / 13.0 + z * (1.0 / 15.0 + z * t)))
    t = z * (2.0 / 3.0 + z * 2.0 * (1.0 / 5.0 + z * (1.0 / 7.0 + z * t)))
    half = 0.5 * f * f
    value = k * 0.6931471803691238 - ((half - (s * (half + t) + k * 1.9082149292705877e-10)) - f)
    value = value if x > 0.0 else (-np.inf if x == 0.0 else np.nan)
    return x if x == np.inf else value


def reduced_angle(x):
    """The quarter turn (0 to 3, as a float) and the angle left over, with its correction."""
    x = x if abs(x) < 1e15 else np.nan  # neighbouring floats are many turns apart there
    n = nearest(x * 0.6366197723675814)
    # pi/2 in pieces of 33 bits: the first products are exact
    a = x - n * 1.5707963267341256
    b = n * 6.077100506303966e-11
    c = a - b
    low = ((a - c) - b) - n * 2.0222662487959506e-21
    r = c + low
    return n - 4.0 * nearest(0.25 * n - 0.375), r, (c - r) + low


def sin_small(r, low):
    """sin(r + low) for abs(r) <= pi/4."""
    z = r * r
    s = 1.0 / 6227020800.0 - z * (1.0 / 1307674368000.0 - z * (1.0 / 355687428096000.0))
    s = 1.0 / 120.0 - z * (1.0 / 5040.0 - z * (1.0 / 362880.0 - z * (1.0 / 39916800.0 - z * s)))
    return r + (low * (1.0 - 0.5 * z) - r * z * (1.0 / 6.0 - z * s))


def cos_small(r, low):
    """cos(r + low) for abs(r) <= pi/4."""
    z = r * r
    s = 1.0 / 479001600.0 - z * (1.0 / 87178291200.0 - z * (1.0 / 20922789888000.0))
    s = 1.0 / 24.0 - z * (1.0 / 720.0 - z * (1.0 / 40320.0 - z * (1.0 / 3628800.0 - z * s)))
    half = 0.5 * z
    w = 1.0 - half
    return w + (((1.0 - w) - half) + (z * z * s - r * low))


def sin(x):
    """The sine."""
    n, r, low = reduced_angle(x)
    odd = (n == 1.0) | (n == 3.0)
    value = cos_small(r, low) if odd else sin_small(r, low)
    return -value if n >= 2.0 else value


def cos(x):
    """The cosine."""
    n, r, low = reduced_angle(x)
    odd = (n == 1.0) | (n == 3.0)
    value = sin_small(r, low) if odd else cos_small(r, low)
    return -value if (n == 1.0) | (n == 2.0) else value


def sign(x):
    """-1, 0 or 1, and NaN for NaN."""
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else x + 0.0)  # as in NumPy, never -0.0


_ALL = (
    nearest,
    power_of_two,
    expm1_small,
    reduced_exp,
    reduced_angle,
    sin_small,
    cos_small,
    exp,
    tanh,
    log,
    sin,
    cos,
    sign,
)
NAMES = frozenset(("exp", "tanh", "log", "sin", "cos", "sign"))
"""The operations that have a vectorisable function here."""


def text(names: set[str]) -> str:
    """The source of the named functions and of those that they call, in order."""
    needed: set[str] = set()

    def need(function: FunctionType) -> None:
        if function.__name__ not in needed:
            needed.add(function.__name__)
            for other in _ALL:
                if other.__name__ in function.__code__.co_names:
                    need(other)

    for function in _ALL:
        if function.__name__ in names:
            need(function)
    chosen = [function for function in _ALL if function.__name__ in needed]
    return "\n\n".join("@inlined\n" + inspect.getsource(function) for function in chosen)
