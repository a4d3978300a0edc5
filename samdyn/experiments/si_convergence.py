"""Si and Yun: SAM of constant rho need not converge; counter-examples in closed form."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import losses, plot
from samdyn.algorithms import SAM
from samdyn.analysis.edges.cycle import cycle_loss
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_A, _B = np.array([2.0, 1.0]), np.array([1.0, -2.0])
_RHOS = np.array([0.0, 0.05, 0.1, 0.2])
_LR, _CHAINS, _STEPS, _AFTER = 0.01, 400, 12_000, 2_000
_EXACT_LR, _EXACT_STEPS = 0.1, 250

_FAR = np.array([3.5, 4.5, 5.0, 6.0])
"""Between pi and 2 pi."""
_NEAR = np.array([0.5, 1.0, 2.0])
_OFF = np.array([-0.9, -0.3, 0.3, 0.9])
_COSINE_LR, _COSINE_STEPS = 0.05, 6_000

_EIGENVALUE, _DECAY = 1.0, 6.0
_TIMES = np.array([100, 300, 1_000, 3_000, 10_000, 30_000])
_FLOOR_RHOS = np.array([0.03, 0.1, 0.3])


def compute() -> Runs:
    """Three ways not to converge: stochastic convex, a non-convex loss, and a floor."""
    sam = SAM(lr=_LR, rho=_RHOS)
    sample = Loss("a*(x - b)**2/2", "x", data={"a": _A, "b": _B})
    chains = finished(
        simulate(
            Map(sample, sam, batch_size=1),
            np.zeros((_CHAINS, 1)),
            _STEPS,
            statistics={"place": "x"},
            after=_AFTER,
            seed=1,
            progress=False,
        )
    )
    # m-SAM over both samples takes the mean of the two one-sample steps
    step = SAM(lr=_EXACT_LR, rho=_RHOS, m=1)  # where it rests does not depend on lr
    mean_step = Map(sample, step, batch_size=2, sampling="subset")
    exact = mean_step.apply([0.0], _EXACT_STEPS)[..., 0]
    stochastic = xr.Dataset(
        {
            "mean": chains["place_mean"].drop_vars("stream").transpose("rho", "particle"),
            "exact": ("rho", exact),
        }
    )
    cosine = Map(losses.cosine(), SAM(lr=_COSINE_LR, rho=_FAR))
    path = finished(simulate(cosine, [1.0], _COSINE_STEPS, record=10, progress=False))
    far = path[["w", "final"]].isel(coord=0, drop=True)
    rho = xr.DataArray(_NEAR, dims="rho", coords={"rho": _NEAR})
    starts = (np.pi + rho * xr.DataArray(_OFF, dims="start")).expand_dims(coord=["x"], axis=-1)
    every = cosine.replace(rho=rho)
    late = np.arange(_COSINE_STEPS - 500, _COSINE_STEPS + 1)
    near = finished(simulate(every, starts, _COSINE_STEPS, record=late, progress=False)).w
    descent = finished(
        simulate(cosine.replace(rho=0.0), starts, _COSINE_STEPS, progress=False)
    ).final
    trapped = xr.Dataset(
        {
            "away": np.abs(near - np.pi).max(("time", "coord", "start")),
            "descent": np.cos(descent).isel(coord=0, drop=True).min("start"),
        }
    )
    lrs = _DECAY * np.log(_TIMES) / (_EIGENVALUE * _TIMES)
    bowl = Map(Loss("l*x**2/2", "x", l=_EIGENVALUE), SAM(lr=lrs, rho=_FLOOR_RHOS))
    run = finished(simulate(bowl, [1.0], int(_TIMES[-1]), record=_TIMES, progress=False))
    loss = np.stack([run.loss.sel(lr=lr, time=t) for lr, t in zip(lrs, _TIMES, strict=True)])
    floor = xr.Dataset(
        {"loss": (("T", "rho"), loss), "lr": ("T", lrs)},
        coords={"T": _TIMES, "rho": _FLOOR_RHOS},
    )
    return {"stochastic": stochastic, "far": far, "trapped": trapped, "floor": floor}


def _settles(rho: np.ndarray) -> np.ndarray:
    """Where the mean of one-sample SAM settles, rho (a1 - a2)/(a1 + a2); the minimum is at 0.

    As long as the chain stays between the two samples' minima each step is affine, so that the
    mean takes the mean of the two steps. To leave needs some hundred equal draws on end.
    """
    return rho * (_A[0] - _A[1]) / (_A[0] + _A[1])


def claims(runs: Runs) -> list[Claim]:
    """The limits of SAM by closed form, none of them a critical point; and the floor."""
    stochastic, far, floor = runs["stochastic"], runs["far"], runs["floor"]
    place = _settles(_RHOS)
    mean = stochastic["mean"].mean("particle").values
    error = stochastic["mean"].std("particle", ddof=1).values / np.sqrt(_CHAINS)
    apart = np.abs(mean - place) / error
    missed = float(np.max(np.abs(stochastic.exact.values - place)))
    off = float(np.max(np.abs(far.final.values - (2 * np.pi - _FAR))))
    slopes = np.sin(far.final.values)
    away = runs["trapped"].away.values
    least = float(runs["trapped"].descent.min())
    said = cycle_loss(_EIGENVALUE, floor.lr, floor.rho)
    gap = float(np.max(np.abs(floor.loss.values / said - 1)))
    power = np.polyfit(np.log(_TIMES), np.log(floor.loss.values[:, -1] / np.log(_TIMES) ** 2), 1)[0]
    return [
        Claim(
            "one-sample SAM on two parabolas: its mean is rho (a1 - a2)/(a1 + a2), rho = "
            f"{', '.join(f'{rho:g}' for rho in _RHOS)}",
            "within 4 standard errors",
            ", ".join(f"{m:.4f} +- {e:.4f}" for m, e in zip(mean, error, strict=True)),
            bool(np.all(apart < 4)),
        ),
        Claim(
            "the mean over both draws of the step comes to rest there",
            "within 1e-6",
            f"{missed:.1g}",
            missed < 1e-6,
        ),
        Claim(
            f"-cos(x), rho = {', '.join(f'{rho:g}' for rho in _FAR)}: SAM comes to rest at "
            "2 pi - rho",
            "within 1e-6",
            f"{off:.1g}",
            off < 1e-6,
        ),
        Claim(
            "the slope there is -sin(rho), not 0",
            ", ".join(f"{-np.sin(rho):.6f}" for rho in _FAR),
            ", ".join(f"{slope:.6f}" for slope in slopes),
            bool(np.max(np.abs(slopes + np.sin(_FAR))) < 1e-6),
        ),
        Claim(
            f"-cos(x), rho = {', '.join(f'{rho:g}' for rho in _NEAR)}, from within rho of the "
            "maximum: SAM stays within lr rho of it, GD leaves",
            f"at most {', '.join(f'{_COSINE_LR * rho:g}' for rho in _NEAR)}",
            f"{', '.join(f'{x:.4f}' for x in away)}; GD ends with cos(x) = {least:.6f}",
            bool(np.all(away <= _COSINE_LR * _NEAR) and least > 1 - 1e-6),
        ),
        Claim(
            f"strongly convex, lr = {_DECAY:g} log(T)/T: after T steps the loss is the cycle's, "
            "lr^2 rho^2 l^3/(2(2 - lr l)^2)",
            "relative error < 1e-6",
            f"{gap:.1g}",
            gap < 1e-6,
        ),
        Claim(
            "so it falls as log(T)^2/T^2 and no faster",
            "slope -2 within 0.1",
            f"{power:.3f}",
            bool(abs(power + 2) < 0.1),
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Where one-sample SAM settles, where SAM rests on a cosine, and the floor against T."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11.5, 3.7))
    _draw_stochastic(runs["stochastic"], left)
    _draw_cosine(runs["far"], middle)
    _draw_floor(runs["floor"], right)
    titles = ("stochastic, convex", r"$-\cos x$", "deterministic, strongly convex")
    for letter, title, ax in zip("abc", titles, (left, middle, right), strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _draw_stochastic(stochastic: xr.Dataset, ax: Axes) -> None:
    rho = np.linspace(0, 0.22, 50)
    ax.plot(rho, _settles(rho), color=plot.COLORS[0], label=r"$\rho\,(a_1 - a_2)/(a_1 + a_2)$")
    mean = stochastic["mean"].mean("particle")
    error = stochastic["mean"].std("particle", ddof=1) / np.sqrt(_CHAINS)
    ax.errorbar(
        _RHOS,
        mean,
        1.96 * error,
        fmt="o",
        color=plot.COLORS[1],
        mfc="white",
        capsize=3,
        label=f"{_CHAINS} chains (95 %)",
    )
    ax.axhline(0.0, color="black", ls=":", lw=0.9, label="minimum")
    ax.set(xlabel=r"$\rho$", ylabel="mean of $x$", xlim=(-0.01, 0.22))
    ax.legend(loc="upper left")


def _draw_cosine(far: xr.Dataset, ax: Axes) -> None:
    for k, rho in enumerate(_FAR):
        ax.plot(far.time, far.w.sel(rho=rho), color=plot.COLORS[k], label=rf"$\rho$ = {rho:g}")
        ax.axhline(2 * np.pi - rho, color=plot.COLORS[k], ls=":", lw=1.8, zorder=0)
    ax.plot([], [], ":", color="0.3", lw=1.8, label=r"$2\pi - \rho$")
    ax.axhline(0.0, color="black", lw=0.9, label="minimum")
    ax.set(xlabel="step", ylabel="$x$", xlim=(0, 600), ylim=(-0.15, 4.9))
    ax.legend(loc="upper right", ncols=2)


def _draw_floor(floor: xr.Dataset, ax: Axes) -> None:
    fine = np.geomspace(_TIMES[0], _TIMES[-1], 100)
    for k, rho in enumerate(_FLOOR_RHOS):
        lr = _DECAY * np.log(fine) / (_EIGENVALUE * fine)
        ax.plot(fine, cycle_loss(_EIGENVALUE, lr, rho), color=plot.COLORS[k])
        ax.plot(
            _TIMES,
            floor.loss.sel(rho=rho),
            "o",
            color=plot.COLORS[k],
            mfc="white",
            label=rf"$\rho$ = {rho:g}",
        )
    ax.plot([], [], color="black", label="the cycle's loss")
    ax.plot(fine, 3e-2 / fine**2, ":", color="black", label="$T^{-2}$")
    ax.set(xscale="log", yscale="log", xlabel="steps $T$", ylabel=r"loss after $T$ steps")
    ax.legend(loc="upper right")


EXPERIMENT = Experiment(
    name="si-convergence",
    title="SAM of constant rho does not converge to the minimum",
    source="Si and Yun, arXiv 2306.09850",
    caption=(
        "Normalised SAM on examples chosen here for what Si and Yun prove. (a) One-sample SAM, lr "
        "= 0.01, on (x - 1)^2 and (x + 2)^2/2: the minimum of their mean is at 0, the mean of SAM "
        "at rho/3; so the excess loss is of order rho^2 whatever lr is. (b) On -cos(x) with rho "
        "beyond pi, full-batch SAM, lr = 0.05, comes to rest at 2 pi - rho, which is no critical "
        "point: its perturbed point is the minimum at 2 pi. (c) On x^2/2 with lr = 6 log(T)/T the "
        "loss after T steps is that of the 2-cycle, of order (log T/T)^2, where gradient descent "
        "has T^-12."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
