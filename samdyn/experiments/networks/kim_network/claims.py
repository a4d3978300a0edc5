"""What must come out: the maps on the network itself, who is stuck, and what frees it."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.experiments.base import Claim, Runs
from samdyn.experiments.networks.kim_network.setting import (
    BATCH_RHO,
    BATCHES,
    KINDS,
    LR,
    LRS,
    RHOS,
)
from samdyn.experiments.networks.seeds import mean

_STUCK = RHOS[RHOS >= 0.2]


def claims(runs: Runs) -> list[Claim]:
    """Of the linearised maps, of full batches and of minibatches."""
    return [
        *_linear(runs["linear"]),
        *_full(runs["full"], 2 * float(runs["linear"].singular[0])),
        *_batches(runs["batches"]),
    ]


def _linear(run: xr.Dataset) -> list[Claim]:
    l = 2 * run.singular.values
    rhos = run.rho.values
    away = abs(run.usam - run.usam_linear).max().item()
    grows = (run.usam > 1).values
    first, last = 1 / l[0], 1 / l[-1]
    near = abs(run.cycle - run.cycle_linear).max().item()
    free = (run.cycle > 1).sum("direction").values
    lengths = (2 - LRS * l[0]) / (LRS * l[0] ** 2)
    expected = [int(np.sum(l < 1 / rho)) for rho in lengths]
    return [
        Claim(
            "the Hessian's most negative eigenvalue at the origin is -2 times the largest singular "
            "value of the mean of y x^T",
            f"{-l[0]:.12g} by NumPy",
            f"{run.smallest.item():.12g}, residual {run.residual.item():.1g}",
            abs(run.smallest.item() / -l[0] - 1) < 1e-9,
        ),
        Claim(
            "un-normalised SAM from 1e-9 along each of ten directions: what a step multiplies it "
            f"by is 1 - lr l (1 + rho l) ({grows.size} factors)",
            "within 1e-9",
            f"{away:.1g} off at most",
            away < 1e-9,
        ),
        Claim(
            "so the most negative direction is trapped for rho > -1/l, and the saddle as a whole "
            "only beyond that of the weakest: Theorem 1 is for saddles of index 1, this one has "
            "10 negative eigenvalues, 32 times each",
            f"from rho = {first:.3f} on, and from {last:.2f} on",
            "directions that grow: "
            + ", ".join(f"{n} at {rho:g}" for n, rho in zip(grows.sum(1), rhos, strict=True)),
            bool(np.array_equal(grows, l * rhos[:, None] < 1) and not grows[-1].any()),
        ),
        Claim(
            "normalised SAM comes to rest in a cycle across the valley, of amplitude "
            "a = lr l rho/(2 - lr l), whose factors 1 + lr l_i (1 - l_i rho/(l a)) know no rho; a "
            "small lr traps all directions, a larger one does not (lr = "
            + ", ".join(f"{lr:g}" for lr in LRS)
            + ")",
            ", ".join(map(str, expected)) + " of 10 grow; factors within 1e-6",
            ", ".join(map(str, free)) + f"; {near:.1g} off at most",
            bool(np.array_equal(free, expected)) and expected[0] == 0 and near < 1e-6,
        ),
    ]


def _full(run: xr.Dataset, steepest: float) -> list[Claim]:
    plain, momentum = run.sel(kind="plain"), run.sel(kind="momentum")
    early = plain.left.sel(rho=[0.0, 0.05, 0.1]).transpose("rho", "seed")
    ratios = (early / early[0])[1:]
    zone = plain.start_slope.isel(rho=0) / steepest
    stuck = plain.sel(rho=_STUCK)
    cycle = stuck.slope / (LR * steepest**2 * stuck.rho / (2 - LR * steepest))
    cycle = cycle.transpose("rho", "seed")
    fast, freed = momentum.left.sel(rho=0.0), momentum.left.sel(rho=BATCH_RHO)
    late = momentum.left.sel(rho=[0.3, 0.5]).transpose("rho", "seed")
    small, large = (run.left.sel(kind=kind, rho=BATCH_RHO) for kind in ("step 0.1", "step 0.2"))
    wider = run.left.sel(kind="step 0.1", rho=0.3)
    blown = run.blown.sel(kind="step 0.5")
    beyond = [
        run.blown.sel(kind="step 0.1", rho=0.5),
        run.blown.sel(kind="step 0.2", rho=[0.3, 0.5]),
    ]
    return [
        Claim(
            "full batch, no momentum: SAM leaves later than GD, the more so once rho is above "
            f"|grad L|/|l| at the start ({zone.min():.3f} to {zone.max():.3f}), where its first "
            "steps trap the most negative direction: GD, rho = 0.05, 0.1",
            "all leave, each seed later; times 1 to 1.3 at 0.05, more than 1.5 at 0.1",
            "step "
            + ", ".join(mean(one).said(".0f") for one in early)
            + "; times "
            + ", ".join(mean(one).said(".2f") for one in ratios),
            bool(early.notnull().all() and (early.diff("rho") > 0).all())
            and bool(((ratios[0] < 1.3) & (ratios[1] > 1.5)).all())
            and bool(((zone > 0.05) & (zone < 0.1)).all()),
        ),
        Claim(
            f"with rho = 0.2, 0.3, 0.5 none of {stuck.left.size} leaves in "
            f"{int(stuck.watched.min())} steps, and they are at the saddle, not dead",
            "0 leave; loss within 3 % of the initial one, |w| < 1 (who left is beyond)",
            f"{int(stuck.left.notnull().sum())} leave; |w| {stuck.weights.min():.2f} to "
            f"{stuck.weights.max():.2f} from {stuck.start_weights.mean():.2f}, loss "
            f"{stuck.loss.min():.3f} to {stuck.loss.max():.3f} of the initial one",
            bool(stuck.left.isnull().all() and (stuck.weights < 1).all())
            and bool((abs(stuck.loss - 1) < 0.03).all())
            and bool((plain.weights.sel(rho=early.rho) > 1).all()),
        ),
        Claim(
            "who is stuck has at the end a gradient longer than that cycle's of the linear map, lr "
            "l^2 rho/(2 - lr l), the least so at rho = 0.2: length over that, rho = 0.2, 0.3, 0.5",
            "above 1 in every seed; below 1.4 at 0.2; on average more with larger rho",
            ", ".join(mean(one).said(".2f") for one in cycle),
            bool((cycle > 1).all() and (cycle[0] < 1.4).all())
            and bool((cycle.mean("seed").diff("rho") > 0).all()),
        ),
        Claim(
            f"momentum {KINDS['momentum'].momentum:g} at the same lr = {LR:g} frees rho = 0.2; 0.3 "
            "and 0.5 late, if at all",
            "all 5 seeds within 200 steps, later than GD with momentum; the others later still, "
            "and not all of them",
            f"step {mean(freed).said('.0f')}, GD {mean(fast).said('.0f')}; "
            f"{int(late[0].notnull().sum())} and {int(late[1].notnull().sum())} of 5 in "
            f"{int(momentum.watched.sel(rho=0.5).max())} steps, from {late.min():.0f} on",
            bool(freed.notnull().all() and (freed > fast).all() and freed.max() < 200)
            and bool((late.fillna(np.inf) > freed.max()).all() and late.isnull().any()),
        ),
        Claim(
            "it is not momentum alone: without it a larger lr, 0.1 and 0.2, frees rho = 0.2; at "
            "0.1 rho = 0.3 takes about as long, as the cycle's factors say; at larger rho they "
            "blow up",
            "all seeds, sooner with 0.2; rho = 0.3 within 25 %; blown up: all 5 with lr = 0.1 at "
            "rho = 0.5, all 10 with 0.2 at 0.3 and 0.5",
            f"step {mean(small).said('.0f')}, {mean(large).said('.0f')}; "
            f"{mean(wider).said('.0f')}; {int(beyond[0].sum())} and {int(beyond[1].sum())} blow up",
            bool(small.notnull().all() and (large < small).all() and wider.notnull().all())
            and bool(abs(wider.mean() / small.mean() - 1) < 0.25)
            and all(bool((some > 0).all()) for some in beyond),
        ),
        Claim(
            "lr = 0.5 without momentum, the same lr/(1 - m), is no comparison",
            "all 30 networks blow up",
            f"{int(blown.sum())} of {blown.size}",
            bool((blown > 0).all()),
        ),
    ]


def _batches(run: xr.Dataset) -> list[Claim]:
    sgd, sam = run.sel(rho=0.0), run.sel(rho=BATCH_RHO)
    seeds = sam.watched.notnull().sum("seed").values
    leaves, blown = sam.left.notnull().sum("seed").values, sam.blown.sum("seed").values
    said = [
        f"B = {b}: {n} of {of}" + (f" (median step {np.nanmedian(left):.0f})" if n else "")
        for b, n, of, left in zip(BATCHES, leaves, seeds, sam.left.values, strict=True)
    ]
    share = leaves / seeds
    at = sam.sel(batch=[128, 32])
    near = at.weights.where(at.left.isnull())
    away = sam.weights.sel(batch=8)
    counts = int(sgd.left.notnull().sum()), int(sgd.watched.notnull().sum())
    return [
        Claim(
            "minibatches, momentum 0.9, rho = 0.2: that smaller ones leave sooner does not hold",
            "with B = 256 all leave, with 128 more than half, with 32 fewer than that, with 8 none",
            "; ".join(said) + f"; SGD {counts[0]} of {counts[1]} in all",
            bool(share[0] == 1 and share[1] > 0.5 > share[2] and share[3] == 0)
            and counts[0] == counts[1],
        ),
        Claim(
            "who has not left with B = 128 or 32 is near the saddle, with B = 8 it has blown up",
            "|w| < 1; at least 80 % blown up, median |w| > 20",
            f"|w| at most {near.max():.2f}; {blown[3]:.0f} of {seeds[3]}, |w| {away.min():.0f} to "
            f"{away.max():.0f}",
            bool(near.max() < 1 and blown[3] >= 0.8 * seeds[3] and away.median() > 20),
        ),
    ]
