"""What must come out of the experiment on diffusion from a saddle."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.experiments.base import Claim, Runs
from samdyn.experiments.kim_diffusion.setting import (
    LR,
    MOMENTS,
    SAID,
    SHORT,
    SHOWN,
    STEPS,
    TOLD,
    at,
    printed,
    printed_gap,
)


def claims(runs: Runs) -> list[Claim]:
    """Where the exact recursion holds, and where the paper's printed formulas do not."""
    same = runs["same"].sel(momentum=0.0)
    end = STEPS * LR
    found = [
        _agreement("SGD and USAM, rho <= 2, t <= 2: displacement is the recursion's", same),
        _agreement("the same with a batch for each gradient", runs["fresh"]),
        _agreement("the SDE as Kim et al. write it: that of drift l (1 + rho l)", runs["full"]),
        _agreement("minibatches of 4 to 32 of 64 samples", runs["batches"]),
        _agreement("with momentum up to 0.9", runs["same"].isel(momentum=slice(1, None))),
    ]
    scaled = runs["batches"].exact * runs["batches"].batch_size
    spread = float((scaled.std("batch_size") / scaled.mean("batch_size")).max())
    found.append(
        Claim(
            "displacement times batch size is one number",
            "< 1e-12",
            f"{spread:.1g}",
            spread < 1e-12,
        )
    )
    below = slice(0.05, 0.95)
    for name, said in SAID.items():
        one = runs[name].sel(rho=below, time=end)
        one = one.sel(momentum=0.0) if "momentum" in one.dims else one
        least = float((one["drop"] / one.drop_error).min())
        found.append(
            Claim(
                f"{said}: SAM diffuses less than SGD, the less the larger rho < 1",
                "each step down > 4 standard errors",
                f"> {least:.1f}",
                least > 4.0,
            )
        )
    early = runs["fresh"].sel(rho=0.5, time=MOMENTS[0] * LR)
    sooner = float(-early.gap / early.gap_error)
    found.append(
        Claim(
            "a batch for each gradient, t = 0.02: SAM diffuses more than SGD",
            "> 4 standard errors",
            f"{sooner:.1f}",
            sooner > 4.0,
        )
    )
    ratio, error, exact = _corollary(runs)
    found.append(
        Claim(
            "Corollary 1: the printed gap over that of the SDE as written, at t = 0.02",
            f"2 as t -> 0, there {exact:.3f}",
            f"{ratio:.3f} +- {error:.3f}",
            abs(ratio - exact) < 4 * error < 0.5,
        )
    )
    sgd = float(same.measured.sel(rho=0.0, time=end) / printed(0.0, end))
    error = float(same.measured_error.sel(rho=0.0, time=end) / printed(0.0, end))
    found.append(
        Claim(
            "Theorem 2 as printed, t = 2: right for SGD to the order of lr",
            "1 within 4 standard errors + 2 lr",
            f"{sgd:.3f} +- {error:.3f}",
            abs(sgd - 1.0) < 4 * error + 2 * LR,
        )
    )
    for rho in (0.5, 1.5):
        ones = [at(runs, name, end).sel(rho=rho) for name in SAID]
        ratios = [float(printed(rho, end) / one.measured) for one in ones]
        off = [float(abs(printed(rho, end) - one.measured) / one.measured_error) for one in ones]
        found.append(
            Claim(
                f"Theorem 2 as printed over measured, rho = {rho:g}: {', '.join(SAID.values())}",
                "none is 1 within 4 standard errors",
                ", ".join(f"{ratio:.3g}" for ratio in ratios),
                min(off) > 4.0,
            )
        )
    steps = runs["same"].sel(rho=list(SHOWN[:3]), time=SHORT * LR)
    rise = steps.measured.diff("momentum")
    sure = float(
        (rise / np.hypot(steps.measured_error, steps.measured_error.shift(momentum=1))).min()
    )
    found.append(
        Claim(
            "momentum raises the displacement, at every rho",
            "each > 4 standard errors",
            f"> {sure:.1f}",
            sure > 4.0,
        )
    )
    matched = runs["matched"]
    away = float((abs(matched.measured - matched.sgd) / matched.error).max())
    growing = bool((matched.momentum.diff("rho") > 0).all())
    found.append(
        Claim(
            "a larger rho needs a larger momentum to diffuse as far as SGD; with it SAM does",
            "increasing, < 4 standard errors",
            f"{'' if growing else 'not '}increasing, {away:.1f}",
            growing and away < 4.0,
        )
    )
    return found


def _agreement(statement: str, one: xr.Dataset) -> Claim:
    """That all that was measured is within four standard errors of what is exact."""
    one = one.sel(time=list(TOLD))
    moving = (one.exact > 1e-25).values  # with rho = 1 and the same batch nothing moves at all
    away = np.abs(one.measured - one.exact).values
    z = away[moving] / one.measured_error.values[moving]
    still = bool(np.all(away[~moving] < 1e-25))
    return Claim(
        f"{statement} ({z.size} values)",
        "all within 4 standard errors",
        f"largest {z.max():.2f}",
        bool(z.max() < 4.0 and still),
    )


def _corollary(runs: Runs) -> tuple[float, float, float]:
    """Corollary 1's gap over the measured one of the SDE as written, its error, and exactly."""
    rho, time = 0.25, MOMENTS[0] * LR
    one = runs["full"].sel(rho=rho, time=time)
    printed = float(printed_gap(rho, time))
    ratio = printed / float(one.gap)
    exact = printed / float(runs["full"].exact.sel(rho=0.0, time=time) - one.exact)
    return ratio, ratio * float(one.gap_error / one.gap), exact
