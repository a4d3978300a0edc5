"""What of the theorems is seen in the network."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.experiments.base import Claim, Runs
from samdyn.experiments.networks.seeds import Interval, mean
from samdyn.experiments.networks.wen_one_sam.setting import GD_STEPS, KINDS, LR, SEEDS

_ONE = ("parts", "single")


def end(run: xr.Dataset) -> xr.Dataset:
    """Where runs with the largest lr, or flows, are at last."""
    return (run.sel(lr=LR) if "lr" in run.dims else run).isel(time=-1)


def farthest(run: xr.Dataset, name: str) -> xr.DataArray:
    """The largest distance from a flow in the slow time that runs of every lr have in common."""
    return run[name].dropna("time").max("time")


def cycle_radius(top: xr.DataArray) -> xr.DataArray:
    """The distance from a minimiser at which SAM oscillates on a quadratic, for each rho."""
    return LR * top.rho * top / (2.0 - LR * top)


def slope(values: xr.DataArray, dim: str) -> xr.DataArray:
    """By which power values grow with a coordinate, by least squares, for each seed."""
    x = np.log(values[dim]) - np.log(values[dim]).mean()
    return (x * xr.apply_ufunc(np.log, values)).sum(dim) / (x**2).sum()


def claims(runs: Runs) -> list[Claim]:
    """Where each ends, the flows, the alignment of the gradient, and the loss."""
    moved = float(runs["gd"].drift.max())
    return [
        Claim(
            "GD from the interpolating weights stays there",
            f"moves by less than 1e-6 in {GD_STEPS} steps",
            f"{moved:.0e}",
            moved < 1e-6,
        ),
        *_ends({name: end(runs[name]) for name in KINDS}),
        _sharpness(runs),
        _order(runs),
        _factor(runs),
        _apart(runs["full"].sel(lr=LR)),
        _alignment(runs["full_settled"], runs["single_settled"]),
        _height(runs["full_settled"]),
    ]


def _ends(ends: dict[str, xr.Dataset]) -> list[Claim]:
    """Who ends with the lower trace, the lower largest eigenvalue, the smaller share of it."""
    found = []
    for statement, said, of, sign in (
        (
            "the trace ends lower under SAM with one sample than with the full batch",
            "<",
            "trace",
            -1,
        ),
        ("lambda_1 ends higher under SAM with one sample than with the full batch", ">", "top", 1),
        ("so does its share lambda_1/trace", ">", "share", 1),
    ):
        values = {
            name: one.top / one.trace if of == "share" else one[of] for name, one in ends.items()
        }
        paired = [values[name] - values["full"] for name in _ONE]
        gaps = [mean(one) for one in paired]
        right = [int((sign * one > 0).sum()) for one in paired]
        measured = [f"{gap.said()}, {k} of {SEEDS}" for gap, k in zip(gaps, right, strict=True)]
        found.append(
            Claim(
                f"{statement} (differences with m = 1 on all samples and with batch size 1, "
                "paired over seeds)",
                f"{said} 0 in every seed",
                f"{'; '.join(measured)}; full batch {mean(values['full']).said()}",
                all(_clear(gap, sign) for gap in gaps) and min(right) == SEEDS,
            )
        )
    return found


def _clear(gap: Interval, sign: int) -> bool:
    return min(float(sign * gap.low), float(sign * gap.high)) > 0


def _sharpness(runs: Runs) -> Claim:
    """That each ends as sharp as the limiting flow it should follow."""
    ratios = [
        end(runs[name])[kind.flow] / end(runs[f"flow_{kind.flow}"])[kind.flow]
        for name, kind in KINDS.items()
    ]
    return Claim(
        "what each lowers, in the end, over that of its limiting flow (full batch: lambda_1; "
        "m = 1 on all samples, batch size 1: trace)",
        "1, within 5 % in every seed",
        "; ".join(mean(ratio).said(".4g") for ratio in ratios),
        all(bool((abs(ratio - 1) < 0.05).all()) for ratio in ratios),
    )


def _order(runs: Runs) -> Claim:
    """How the distance between networks and limiting flows falls with lr."""
    away = {name: farthest(runs[name], "limit") for name in KINDS}
    powers = {name: mean(slope(one, "lr")) for name, one in away.items()}
    return Claim(
        "distance of the weights from the limiting flow's falls with lr (full batch; m = 1 on all "
        "samples; batch size 1)",
        "order lr log(1/rho) with the full batch, lr^(1/2) + rho or less with one sample: slope "
        "1 ± 0.2",
        "; ".join(f"{powers[name].said()}: {_listed(one, 'lr')}" for name, one in away.items()),
        all(0.8 < float(power.value) < 1.2 for power in powers.values()),
    )


def _factor(runs: Runs) -> Claim:
    """That most of this distance is the finite lr's factor."""
    limit, factored = (farthest(runs["full"], name) for name in ("limit", "factored"))
    share = mean((factored / limit).sel(lr=LR))
    power = mean(slope(factored, "lr"))
    return Claim(
        f"full batch, lr = {LR:g}: the factor (1 - lr lambda_1/2)^-2 in the flow removes most of "
        "that distance; what is left does not fall with lr",
        "less than half is left; slope below 0.3, that of the whole being 1",
        f"a share of {share.said()}; {power.said()}: {_listed(factored, 'lr')}",
        float(share.high) < 0.5 and float(power.high) < 0.3,
    )


def _listed(values: xr.DataArray, dim: str) -> str:
    """Means over seeds along a dimension."""
    means = [f"{float(one):.3g}" for one in values.mean("seed")]
    return f"{', '.join(means)} at {dim} = {', '.join(f'{at:g}' for at in values[dim].values)}"


def _apart(run: xr.Dataset) -> Claim:
    """Wen et al.'s Assumption 4.4, without which the flow of lambda_1 is not smooth."""
    ratio = (run.second / run.top).max("time")
    worst = float(ratio.max())
    return Claim(
        "full batch: the second eigenvalue comes near lambda_1 and does not meet it",
        "lambda_2/lambda_1 below 1 all the way",
        f"at most {worst:.3f}; {int((ratio > 0.85).sum())} of {SEEDS} seeds above 0.85",
        worst < 0.99,
    )


def _alignment(full: xr.Dataset, single: xr.Dataset) -> Claim:
    """How the angle between gradient and top eigenvector depends on rho."""
    powers = [mean(slope(one.angle, "rho")) for one in (full, single)]
    return Claim(
        "angle between the gradient and the top eigenvector: of order rho with the full batch, "
        "not with batch size 1",
        "slope 1 ± 0.2; below 0.3",
        "; ".join(
            f"{power.said()}: {_listed(one.angle, 'rho')}"
            for power, one in zip(powers, (full, single), strict=True)
        ),
        0.8 < float(powers[0].value) < 1.2 and float(powers[1].value) < 0.3,
    )


def _height(full: xr.Dataset) -> Claim:
    """How far above the manifold full-batch SAM oscillates."""
    power = mean(slope(full.loss, "rho"))
    ratio = full.loss / (full.top * cycle_radius(full.top) ** 2 / 2)
    worst = float(abs(ratio - 1).max())
    return Claim(
        "full batch: the loss is of order rho^2, that of the 2-cycle of radius "
        "lr rho l1/(2 - lr l1) along the top eigenvector",
        "slope 2 ± 0.1; within 20 % of it in every seed",
        f"{power.said('.4g')}; within {100 * worst:.2g} %",
        abs(float(power.value) - 2) < 0.1 and worst < 0.2,
    )
