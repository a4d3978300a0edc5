"""What must come out of the experiment on a network of one neuron."""

from __future__ import annotations

import numpy as np
import xarray as xr

from samdyn.experiments.base import Claim, Runs
from samdyn.experiments.kim_toy_network.measure import (
    ends_of,
    measured_growth,
    network_of,
    share,
)
from samdyn.experiments.kim_toy_network.setting import (
    BATCHES,
    DRAWN_RUNS,
    DRAWS,
    FREED,
    HEIGHT,
    LONG_RHOS,
    MOMENTA,
    RHOS,
    SAMPLES,
    SLOPES,
    STEPS,
    Network,
    critical_rho,
    drift,
    exponent,
)


def claims(runs: Runs) -> list[Claim]:
    """What the line of saddles does to SAM, and what momentum and small batches do about it."""
    net, final = network_of(runs), ends_of(runs)
    plain = final.sel(momentum=0.0)
    return [
        *_on_the_line(runs, net),
        _reached(final),
        _trapped(runs, plain),
        _loss_grows(net, plain),
        *_drifts(runs, net, plain),
        _rescued(final),
        _not_monotone(final),
        _too_much(runs),
    ]


def _on_the_line(runs: Runs, net: Network) -> list[Claim]:
    """Theorem 1 on the line w1 = 0, and what minibatches make of it."""
    loss = net.loss
    heights = (0.5, 0.0, -0.5)
    seen = [np.diag(loss.hessian([0, w2])) for w2 in heights]
    theory = -1 / (-4 * net.c * HEIGHT)
    rates, errors = measured_growth(runs)
    exact = [[exponent(net, int(size), rho) for size in BATCHES] for rho in SLOPES]
    off = np.abs(rates.transpose("rho", "batch_size").values - exact)
    allowed = 4 * errors.transpose("rho", "batch_size").values + 1e-9
    critical = [critical_rho(net, int(size)) for size in BATCHES]
    signs = np.sign(rates.sel(batch_size=1).values) == np.sign(critical[0] - SLOPES)
    found = float(runs["growth"].threshold)
    return [
        Claim(
            "the line w1 = 0 is critical; curvature across it at w2 = 0.5, 0, -0.5 (along it 0): "
            "saddles, a degenerate point, local minima that are not global",
            ", ".join(f"{-4 * net.c * w2:.6g}" for w2 in heights),
            ", ".join(f"{row[0]:.6g}" for row in seen),
            all(
                abs(row[0] + 4 * net.c * w2) < 1e-9 and row[1] == 0 and not loss.grad([0, w2]).any()
                for row, w2 in zip(seen, heights, strict=True)
            ),
        ),
        Claim(
            "full-batch un-normalised SAM: the saddle (0, 0.5) attracts from rho = -1/lambda_1, "
            "with lambda_1 the Hessian's negative eigenvalue there",
            f"{theory:.10g}",
            f"{found:.10g}; runs cross 0 at {_crossing(rates.sel(batch_size=SAMPLES)):.4f}",
            abs(found / theory - 1) < 1e-9
            and abs(_crossing(rates.sel(batch_size=SAMPLES)) / theory - 1) < 0.01,
        ),
        Claim(
            "minibatches: abs(w1) grows by the mean of log abs(1 - lr h (1 + rho h)) a step, over "
            "all minibatches, h being the curvature across the line of a minibatch's own loss "
            f"({off.size} ensembles)",
            "within 4 standard errors",
            f"at most {float(np.max(off[:, :-1] / (allowed[:, :-1] / 4))):.1f} standard errors; "
            f"full batch {off[:, -1].max():.1g} off",
            bool(np.all(off < allowed)),
        ),
        Claim(
            "un-normalised SAM: smaller batches trap at smaller rho (B = 1, 4, 16): there it is "
            "not small batches that free",
            "increasing; with B = 1 the runs' growth changes sign there",
            ", ".join(f"{value:.4f}" for value in critical),
            bool(np.all(np.diff(critical) > 0.02) and signs.all()),
        ),
    ]


def _crossing(rates: xr.DataArray) -> float:
    """The rho at which a decreasing rate is 0."""
    return float(np.interp(0.0, -rates.values, rates.rho.values))


def _reached(final: xr.Dataset) -> Claim:
    sgd = (~final.stuck & ~final.away).sel(rho=0.0)
    shares = {
        (int(b), float(m)): share(sgd.sel(batch_size=b, momentum=m))
        for b in BATCHES
        for m in MOMENTA
    }
    noisy = shares.pop((1, 0.95))
    worst = min(shares.values(), key=lambda share: share.low)
    return Claim(
        "SGD reaches the global minima with every batch size and momentum, but for B = 1 with "
        "momentum 0.95, where some runs are drawn to the line",
        "lower limit > 0.97; upper limit < 0.97",
        f"{worst} at worst; {noisy}",
        worst.low > 0.97 and noisy.high < 0.97,
    )


def _trapped(runs: Runs, plain: xr.Dataset) -> Claim:
    w1 = np.abs(runs["full"].initial.sel(coord="w1"))
    within = xr.DataArray(RHOS, dims="rho") > w1
    stuck = plain.stuck.sel(batch_size=SAMPLES).transpose("rho", "particle")
    agree = float((within.transpose("rho", "particle").values == stuck.values).mean())
    return Claim(
        "full-batch SAM without momentum is stuck if it begins with abs(w1) < rho, else not",
        "at least 0.99 of the runs",
        f"{agree:.4f}; stuck {', '.join(f'{v:.2f}' for v in stuck.mean('particle').values)} "
        f"for rho = {', '.join(f'{rho:g}' for rho in RHOS)}",
        agree > 0.99,
    )


def _loss_grows(net: Network, plain: xr.Dataset) -> Claim:
    losses = plain.loss.mean("particle")
    ends = [losses.sel(batch_size=b, rho=r).item() for b in (SAMPLES, 1) for r in (0.0, 0.3)]
    grows = bool((losses.diff("rho") > -0.02 * net.on_line).all())
    shares = [share(plain.stuck.sel(batch_size=b, rho=0.3)) for b in BATCHES]
    return Claim(
        "SAM without momentum: the mean loss grows with rho, and small batches do not mend it",
        f"from {net.least:.2f} (least) to {net.on_line:.2f} (saddles), B = 16 and 1; nearly all "
        "stuck at rho = 0.3",
        f"{ends[0]:.2f} to {ends[1]:.2f}, {ends[2]:.2f} to {ends[3]:.2f}; stuck "
        + ", ".join(map(str, shares)),
        grows
        and ends[1] > 0.95 * net.on_line
        and ends[3] > 0.95 * net.on_line
        and min(share.low for share in shares) > 0.95,
    )


def _drifts(runs: Runs, net: Network, plain: xr.Dataset) -> list[Claim]:
    """That who is stuck is not at rest."""
    run = runs["full"].sel(momentum=0.0)
    ratios = []
    for rho in RHOS[3:]:
        stuck = plain.stuck.sel(batch_size=SAMPLES, rho=rho).values
        begun = run.initial.sel(coord="w2").values[stuck]
        ended = run.final.sel(coord="w2", rho=rho).values[stuck]
        ratios.append(float(np.median((ended - begun) / (drift(net, begun, rho, STEPS) - begun))))
    ends = runs["long"].final.sel(coord="w2")
    rest = net.c / (net.m4 * LONG_RHOS**2)
    off = float(np.abs(ends / xr.DataArray(rest, dims="rho") - 1).max())
    loss = float(runs["long"].final_loss.min())
    return [
        Claim(
            "stuck SAM drifts along the line, to saddles ever steeper, by the gradient at "
            "(rho, w2): 2 lr rho^2 (c - m4 rho^2 w2) a step, where c = mean of x^2 y and m4 = mean "
            "of x^4 over the samples; gain of w2 over that (rho >= 0.1)",
            "1 within 0.05 (medians)",
            ", ".join(f"{ratio:.3f}" for ratio in ratios),
            all(abs(ratio - 1) < 0.05 for ratio in ratios),
        ),
        Claim(
            "it comes to rest where its perturbed point is a global minimum, w2 = c/(m4 rho^2), at "
            "a loss no better than the saddle's (rho = 0.4, 0.5)",
            f"{rest[0]:.4f}, {rest[1]:.4f}, within 1 %; loss {net.on_line:.4f}",
            f"at most {100 * off:.2f} % off; loss {loss:.4f} at least",
            off < 0.01 and loss > 0.999 * net.on_line,
        ),
    ]


def _rescued(final: xr.Dataset) -> Claim:
    stuck = final.stuck.sel(rho=FREED)
    four = [share(stuck.sel(batch_size=b, momentum=m)) for b in (SAMPLES, 1) for m in (0.0, 0.9)]
    return Claim(
        f"rho = {FREED:g}: neither momentum 0.9 nor B = 1 alone frees SAM, both together do; "
        "shares stuck with neither, momentum, B = 1, both",
        "the first three > 0.65, the last < 0.25",
        "; ".join(map(str, four)),
        min(share.low for share in four[:3]) > 0.65 and four[3].high < 0.25,
    )


def _not_monotone(final: xr.Dataset) -> Claim:
    both = final.sel(batch_size=1, momentum=0.9)
    small, freed = (share(both.stuck.sel(rho=rho)) for rho in (0.05, FREED))
    lost = share((both.stuck | both.away).sel(rho=0.3))
    return Claim(
        "with both the share lost (stuck or diverged) is not monotone in rho: 0.05, 0.1, 0.3",
        "down, then up, intervals apart",
        f"{small}, {freed}, {lost}",
        freed.high < small.low and freed.high < lost.low,
    )


def _too_much(runs: Runs) -> Claim:
    shares = runs["draws"].lost / DRAWN_RUNS
    plain = shares.sel(momentum=0.0)
    moved = shares.sel(momentum=0.95)
    best = moved.sel(batch_size=[4, 8]).min("batch_size")
    worst = moved.sel(batch_size=1)
    return Claim(
        f"the same on {DRAWS} other draws of the samples, share lost (stuck or diverged) at rho = "
        f"{FREED:g}: without momentum with any batch size; with momentum 0.95 and the better of "
        "B = 4 and 8; and with B = 1, where the noise is too much",
        "all > 0.65; all < 0.5; all > 0.65",
        f"{_range(plain)}; {_range(best)}; {_range(worst)}",
        bool(plain.min() > 0.65 and best.max() < 0.5 and worst.min() > 0.65),
    )


def _range(shares: xr.DataArray) -> str:
    return f"{float(shares.min()):.2f} to {float(shares.max()):.2f}"
