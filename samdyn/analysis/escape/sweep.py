"""Escape times over the values of some numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from samdyn.analysis.escape.survival import EscapeTimes


@dataclass(frozen=True, eq=False)
class EscapeSweep:
    """Escape times of one ensemble for each value of some numbers.

    Attributes
    ----------
    each : DataArray
        Of `EscapeTimes`, over the dimensions that were not pooled.
    """

    each: xr.DataArray

    def sel(self, method: str | None = None, **values: Any) -> Any:
        """Those at given values, as in xarray; one EscapeTimes if no dimension remains.

        Parameters
        ----------
        method : str, optional
            "nearest" if a value need not be met exactly.
        **values
        """
        return self._part(self.each.sel(values, method=method))

    def isel(self, **places: Any) -> Any:
        """Those at given places; one EscapeTimes if no dimension remains."""
        return self._part(self.each.isel(places))

    def items(self) -> Iterator[tuple[dict[str, Any], EscapeTimes]]:
        """Pairs of the values, by name (places where a dimension has none), and the times."""
        for place in np.ndindex(*self.each.shape):
            one = self.each[place]
            named = zip(self.each.dims, place, strict=True)
            values = {str(d): one[d].item() if d in one.coords else k for d, k in named}
            yield values, one.item()

    def __iter__(self) -> Iterator[EscapeTimes]:
        return iter(self.each.values.ravel())

    def __len__(self) -> int:
        return self.each.size

    @property
    def mean(self) -> xr.DataArray:
        """The mean of each; see `EscapeTimes.mean`."""
        return self.summary["mean"]

    @property
    def rate(self) -> xr.DataArray:
        """The rate of each; see `EscapeTimes.rate`."""
        return self.summary["rate"]

    @property
    def median(self) -> xr.DataArray:
        """The median of each; see `EscapeTimes.median`."""
        return self.summary["median"]

    @property
    def summary(self) -> xr.Dataset:
        """Of each: n, escapes, and mean, rate and median with ``_low`` and ``_high``."""
        columns: dict[str, list[float]] = {}
        for one in self:
            row: dict[str, float] = {"n": one.n, "escapes": one.escapes}
            for name, value, (low, high) in (
                ("mean", one.mean, one.mean_interval),
                ("rate", one.rate, one.rate_interval),
                ("median", one.median, one.median_interval),
            ):
                row |= {name: value, f"{name}_low": low, f"{name}_high": high}
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        shape, dims = self.each.shape, self.each.dims
        arrays = {name: (dims, np.reshape(column, shape)) for name, column in columns.items()}
        return xr.Dataset(arrays, coords=self.each.coords)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name}: {size}" for name, size in self.each.sizes.items())
        medians = ", ".join(f"{one:.4g}" for one in self.median.values.ravel()[:12])
        more = ", …" if self.each.size > 12 else ""
        return f"EscapeSweep({sizes}; medians {medians}{more}; .summary has the rest)"

    def _part(self, part: xr.DataArray) -> Any:
        return EscapeSweep(part) if part.ndim else part.item()
