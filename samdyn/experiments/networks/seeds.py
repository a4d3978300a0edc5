"""What several seeds say together: means, and shares of a gap, with their intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr


class Interval(NamedTuple):
    """An estimate and its confidence interval; each an array of what is left without seeds."""

    value: xr.DataArray
    low: xr.DataArray
    high: xr.DataArray

    def said(self, form: str = ".3g") -> str:
        """A single estimate as text, such as "0.5 (0.4, 0.6)".

        Examples
        --------
        >>> mean(xr.DataArray([1.0, 2.0, 3.0], dims="seed")).said()
        '2 (-0.484, 4.48)'
        """
        value, low, high = (format(float(one), form) for one in self)
        return f"{value} ({low}, {high})"


def mean(values: xr.DataArray, dim: str = "seed", confidence: float = 0.95) -> Interval:
    """The mean over seeds, with Student's interval.

    Parameters
    ----------
    values : DataArray
        At least two seeds along ``dim``; those that are NaN are left out.
    """
    n = _enough(values, dim)
    middle = values.mean(dim)
    half = _student(n, confidence) * values.std(dim, ddof=1) / np.sqrt(n)
    return Interval(middle, middle - half, middle + half)


def gap_closed(
    values: xr.DataArray,
    base: xr.DataArray,
    best: xr.DataArray,
    dim: str = "seed",
    confidence: float = 0.95,
) -> Interval:
    """The share of the gap between two algorithms that a third closes, with Fieller's interval.

    It is ``mean(base - values)/mean(base - best)``: 0 where ``values`` are as with the base, 1
    where they are as with the best. Seeds are paired. The interval (E. C. Fieller, J. R. Stat. Soc.
    B 16, 1954) is exact for normal differences; it is the whole line where the gap itself could
    be 0.
    """
    known = values.notnull() & base.notnull() & best.notnull()
    a, b = (base - values).where(known), (base - best).where(known)
    n = _enough(b, dim)
    weight = _student(n, confidence) ** 2 / n
    am, bm = a.mean(dim), b.mean(dim)
    saa, sbb = a.var(dim, ddof=1) * weight, b.var(dim, ddof=1) * weight
    sab = ((a - am) * (b - bm)).sum(dim) / (n - 1) * weight
    first, half, last = bm**2 - sbb, am * bm - sab, am**2 - saa
    root = np.sqrt(np.maximum(half**2 - first * last, 0.0))
    low, high = (half - root) / first, (half + root) / first
    certain = first > 0
    return Interval(am / bm, low.where(certain, -np.inf), high.where(certain, np.inf))


def _enough(values: xr.DataArray, dim: str) -> xr.DataArray:
    n = values.count(dim)
    if int(n.min()) < 2:
        raise ValueError(f"an interval needs at least 2 seeds, got {int(n.min())}")
    return n


def _student(n: xr.DataArray, confidence: float) -> xr.DataArray:
    from scipy.stats import t

    return n.copy(data=t.ppf((1 + confidence) / 2, n.values - 1))
