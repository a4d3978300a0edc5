"""Counter-based random numbers: a number is a function of (seed, stream, step, draw).

Nothing is carried from one draw to the next, so a result does not depend on how particles are
shared out, on where a run was interrupted, or on who else draws. Each particle has a stream of its
own, whose key is made by hashing the seed with the stream's number: neighbouring seeds and
neighbouring streams have nothing in common.

The block cipher is Threefry-2x64 with 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC 2011). The functions that make bits are plain text on unsigned
64-bit integers: NumPy runs them on arrays, and the compiled kernels copy them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from samdyn.numbers import checked_whole

NAME = "threefry2x64-20/samdyn-1"
"""The stream's name: another name means that other numbers are drawn."""

_KEYING = np.uint64(0x73616D64796E2D31)
"""Half of the key that turns (seed, stream) into a key: the letters samdyn-1."""

BRIDGE = 2**31
"""Draws below this number are normals; from it on, uniforms of events, whose words two steps share.
"""

BATCH = 2**32
"""Batch ``s`` of a step draws from (s + 1) times this number on."""


def threefry(c0, c1, k0, k1):
    """Two words of 64 random bits from a counter and a key of two words each."""
    k2 = k0 ^ k1 ^ np.uint64(0x1BD11BDAA9FC1A22)
    x0, x1 = c0 + k0, c1 + k1
    x0, x1 = mixed(x0, x1, np.uint64(16), np.uint64(42), np.uint64(12), np.uint64(31))
    x0, x1 = x0 + k1, x1 + k2 + np.uint64(1)
    x0, x1 = mixed(x0, x1, np.uint64(16), np.uint64(32), np.uint64(24), np.uint64(21))
    x0, x1 = x0 + k2, x1 + k0 + np.uint64(2)
    x0, x1 = mixed(x0, x1, np.uint64(16), np.uint64(42), np.uint64(12), np.uint64(31))
    x0, x1 = x0 + k0, x1 + k1 + np.uint64(3)
    x0, x1 = mixed(x0, x1, np.uint64(16), np.uint64(32), np.uint64(24), np.uint64(21))
    x0, x1 = x0 + k1, x1 + k2 + np.uint64(4)
    x0, x1 = mixed(x0, x1, np.uint64(16), np.uint64(42), np.uint64(12), np.uint64(31))
    return x0 + k2, x1 + k0 + np.uint64(5)


def mixed(x0, x1, a, b, c, d):
    """Four rounds: add, rotate, exclusive or."""
    x0 = x0 + x1
    x1 = ((x1 << a) | (x1 >> (np.uint64(64) - a))) ^ x0
    x0 = x0 + x1
    x1 = ((x1 << b) | (x1 >> (np.uint64(64) - b))) ^ x0
    x0 = x0 + x1
    x1 = ((x1 << c) | (x1 >> (np.uint64(64) - c))) ^ x0
    x0 = x0 + x1
    x1 = ((x1 << d) | (x1 >> (np.uint64(64) - d))) ^ x0
    return x0, x1


def fraction(bits):
    """A number in (0, 1), one of 2**52 equally far apart, from the upper bits of a word."""
    upper = (bits >> np.uint64(12)) | np.uint64(0x3FF0000000000000)
    return np.uint64(upper).view(np.float64) - 0.9999999999999999


def below(half, n):
    """A whole number from 0 to n - 1 from 32 bits, each as likely as the others to n in 2**32."""
    return ((half & np.uint64(0xFFFFFFFF)) * (n & np.uint64(0xFFFFFFFF))) >> np.uint64(32)


def exponential(bits):
    """-log U, where U = (k + 1/2) / 2**40 and k is the upper 40 bits of a word: of mean 1."""
    # below the exponent of 2**52, a whole number is a mantissa
    whole = (bits >> np.uint64(24)) | np.uint64(0x4330000000000000)
    u = np.uint64(whole).view(np.float64) - 4503599627370495.5  # k + 1/2
    # u = 2**(40 - n) m with m between the roots of 1/2 and of 2: split where these differ
    shifted = np.float64(u).view(np.uint64) + np.uint64(0x00095F619980C433)
    exponent = (shifted >> np.uint64(52)) | np.uint64(0x4330000000000000)
    n = 4503599627371559.0 - np.uint64(exponent).view(np.float64)
    mantissa = (shifted & np.uint64(0x000FFFFFFFFFFFFF)) + np.uint64(0x3FE6A09E667F3BCD)
    m = np.uint64(mantissa).view(np.float64)
    s = (m - 1.0) / (m + 1.0)
    z = s * s
    w = z * z  # log m = 2 artanh s = s (2 + z p)
    p = 0.18140193802865992 + z * 0.16621817152858928
    p = (0.2857142413832416 + z * 0.22222862280108716) + w * p
    p = (0.6666666666666208 + z * 0.40000000011206505) + w * p
    return n * 0.6931471805599453 - s * (2.0 + z * p)


def corner(bits):
    """A point of the circle of radius root 2, from the lower 24 bits of a word.

    Two bits choose the quadrant. The other 22 are an angle x from its middle, and the point is
    (cos x - sin x, cos x + sin x): no coordinate needs to be exchanged for the other.
    """
    place = (bits & np.uint64(0xFFFFFC)) | np.uint64(0x4330000000000000)
    x = (np.uint64(place).view(np.float64) - 4503599635759102.0) * 9.362675707309822e-08
    z = x * x
    w = z * z
    p = -2.5051131845003624e-08 + z * 1.5918129294866608e-10
    p = (-0.00019841269836758574 + z * 2.755731610255244e-06) + w * p
    s = x + x * (z * ((-0.16666666666666666 + z * 0.008333333333330948) + w * p))
    p = -2.755585551192951e-07 + z * 2.066550487012274e-09
    p = (-0.0013888888882127952 + z * 2.480158262335195e-05) + w * p
    c = 1.0 + z * ((-0.49999999999999967 + z * 0.04166666666663093) + w * p)
    right = np.float64(c - s).view(np.uint64) ^ (bits << np.uint64(63))
    up = np.float64(c + s).view(np.uint64) ^ ((bits >> np.uint64(1)) << np.uint64(63))
    return np.uint64(right).view(np.float64), np.uint64(up).view(np.float64)


def gaussian(bits):
    """Two independent standard normals from a word (Box and Muller)."""
    length = np.sqrt(exponential(bits))
    x, y = corner(bits)
    return length * x, length * y


TEXTS = (mixed, threefry, fraction, below, exponential, corner, gaussian)
"""What a kernel that draws copies, in order."""


def checked_seed(seed: Any) -> int:
    """The seed, if it is a whole number from 0 to 2**64 - 1.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    seed = checked_whole("seed", seed, 0)
    if seed >= 2**64:
        raise ValueError(f"seed must be below 2**64, got {seed}")
    return seed


def keys(seed: int, streams: Any) -> np.ndarray:
    """The keys of streams, by hashing.

    Parameters
    ----------
    seed : int
        From 0 to 2**64 - 1.
    streams : array_like of int, shape (n,)

    Returns
    -------
    ndarray of uint64, shape (2, n)
    """
    numbers = np.atleast_1d(np.asarray(streams)).astype(np.uint64)
    none = np.zeros_like(numbers)
    return np.array(threefry(numbers, none, none + np.uint64(seed), none + _KEYING))


def uniforms(key: np.ndarray, step: Any, count: int, first: int = 0) -> list[np.ndarray]:
    """So many uniforms of a step, each an array over the streams of ``key``.

    Parameters
    ----------
    key : ndarray of uint64, shape (2, …)
        Of one dimension at least besides the first.
    step : int or array
        The counter: the same for all streams, or one each.
    count : int
    first : int, default 0
        The draw at which to begin; each gives two uniforms.

    Examples
    --------
    >>> u, v = uniforms(keys(0, [0, 1, 2]), step=5, count=2)
    >>> u.shape, bool(((0 < u) & (u < 1)).all())
    ((3,), True)
    """
    drawn = []
    for draw in range(first, first - (-count // 2)):
        counters = np.zeros_like(key)
        counters[0], counters[1] = step, draw
        drawn += [fraction(word) for word in threefry(*counters, *key)]
    return drawn[:count]


def normals(key: np.ndarray, step: int, count: int) -> list[np.ndarray]:
    """So many standard normals of a step, each an array over the streams of ``key``.

    A call of the cipher serves four steps: each of its two words gives a normal to an even step
    and one to the odd step after it. A normal does not depend on how many others there are.

    Parameters
    ----------
    key : ndarray of uint64, shape (2, …)
        Of one dimension at least besides the first.
    step : int
    count : int

    Examples
    --------
    >>> (z,) = normals(keys(0, [0, 1, 2]), step=5, count=1)
    >>> z.shape
    (3,)
    """
    drawn = []
    for draw in range(count):
        counters = np.zeros_like(key)
        counters[0], counters[1] = step // 4, draw
        word = threefry(*counters, *key)[step // 2 % 2]
        drawn.append(gaussian(word)[step % 2])
    return drawn
