"""How long SGD and SAM take to leave a saddle, as survival analysis."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM, USAM
from samdyn.analysis.escape.logrank import logrank
from samdyn.analysis.escape.passage import first_passage
from samdyn.analysis.escape.survival import EscapeTimes
from samdyn.analysis.escape.sweep import EscapeSweep
from samdyn.analysis.escape.times import escape_times
from samdyn.analysis.spread.saddles import trapping_rho
from samdyn.ensembles.events import Escape
from samdyn.ensembles.run import simulate
from samdyn.experiments.base import Claim, Experiment, Runs, finished
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map
from samdyn.systems.sde import SDE

_LR, _PARTICLES = 0.005, 1_000
_STEPS = {"usam": 25_000, "sam": 6_000}
_BATCHES = np.array([4.0, 16.0, 64.0])
_BATCH = 16.0
_MOMENTA = np.array([0.0, 0.5, 0.9])
_RHOS = {"usam": np.array([0.0, 0.25, 0.5, 0.75]), "sam": np.array([0.0, 0.1, 0.2, 0.3, 0.5])}
_SLOW = {"usam": 0.75, "sam": 0.3}
_FINE = np.linspace(0.0, 0.8, 17)
_LEFT = Escape("y > 0.5 or y < -0.5")
_LAST = 6_000
_TINY = 1e-6
_NEAR = 0.05
"""So close to a threshold that holds for small noise and lr, nothing is said."""


def compute() -> Runs:
    """Escapes over rho, batch size and momentum, and exact mean times of the diffusion."""
    quartic = "y**4/4 - y**2/2"
    noisy = Loss(
        f"x**2/2 + {quartic} + (xi1*x + xi2*y)/sqrt(B)", "x y", noise="xi1 xi2", B=_BATCHES
    )
    runs: Runs = {}
    kinds: dict[str, Callable[..., SAM]] = {"usam": USAM, "sam": SAM}
    for seed, (name, kind) in enumerate(kinds.items(), start=1):
        # every ensemble draws for itself, as the log-rank test wants them
        system = Map(noisy, kind(lr=_LR, rho=_RHOS[name], momentum=_MOMENTA))
        start = np.zeros((_PARTICLES, 2))
        run = finished(simulate(system, start, _STEPS[name], until=_LEFT, seed=seed))
        runs[name] = run.drop_vars(["final", "final_loss"])
    # along y the algorithm does not see x
    line = SDE(
        Loss(f"{quartic} + xi*y/sqrt(B)", "y", noise="xi", B=_BATCH),
        USAM(lr=_LR, rho=0.0),
        order=None,
    )
    exact = [
        [
            float(first_passage(line.replace(rho=float(rho), B=float(b)), _LEFT)(0.0))
            for b in _BATCHES
        ]
        for rho in _FINE
    ]
    runs["exact"] = xr.Dataset(
        {"mean": (("rho", "B"), np.array(exact) / _LR)}, coords={"rho": _FINE, "B": _BATCHES}
    )
    return runs


def _times(runs: Runs, name: str) -> EscapeSweep:
    return escape_times(runs[name])  # type: ignore[return-value]


def claims(runs: Runs) -> list[Claim]:
    """That SAM is slower, momentum and small batches mend it; and where they do not."""
    usam, sam = _times(runs, "usam"), _times(runs, "sam")
    found = []
    for said, name, sweep in (("USAM", "usam", usam), ("SAM", "sam", sam)):
        rhos = [rho for rho in _RHOS[name] if rho <= _SLOW[name]]
        row = [sweep.sel(rho=rho, B=_BATCH, momentum=0.0) for rho in rhos]
        found.append(
            _sooner(
                f"{said}, B = 16: SGD escapes sooner than rho = {rhos[1]:g}, and so on to "
                f"{rhos[-1]:g}",
                list(pairwise(row)),
            )
        )
        slow = [sweep.sel(rho=_SLOW[name], B=_BATCH, momentum=m) for m in _MOMENTA]
        found.append(
            _sooner(
                f"{said}, rho = {_SLOW[name]:g}: momentum 0.9 sooner than 0.5, sooner than none",
                [(slow[2], slow[1]), (slow[1], slow[0])],
            )
        )
        found.append(
            _sooner(
                f"{said}, rho = {_SLOW[name]:g}, momentum 0.9: sooner than SGD without momentum",
                [(slow[2], row[0])],
            )
        )
    sizes = [usam.sel(rho=0.5, B=b, momentum=0.0) for b in _BATCHES]
    found.append(_sooner("USAM, rho = 0.5: B = 4 sooner than B = 64", [(sizes[0], sizes[2])]))
    sizes = [sam.sel(rho=_SLOW["sam"], B=b, momentum=0.0) for b in _BATCHES]
    found.append(
        _sooner("SAM, rho = 0.3: B = 4 sooner than 16, sooner than 64", list(pairwise(sizes)))
    )
    found.append(_exactly(runs, usam))
    found += _slowing(usam, sam)
    return found


def _sooner(statement: str, pairs: list[tuple[EscapeTimes, EscapeTimes]]) -> Claim:
    """That the first of each pair escapes sooner, by the log-rank test."""
    tests = [logrank(*pair) for pair in pairs]
    worst = max(test.p_value for test in tests)
    ratios = ", ".join(f"{test.hazard_ratio:.3g}" for test in tests)
    return Claim(
        statement,
        f"log-rank p < {_TINY:g}",
        f"p {'=' if worst > 1e-300 else '<'} {max(worst, 1e-300):.1g}; hazard ratios {ratios}",
        all(test.statistic > 0 for test in tests) and worst < _TINY,
    )


def _exactly(runs: Runs, usam: EscapeSweep) -> Claim:
    """That mean escape times are the diffusion's, to its order of approximation."""
    exact = runs["exact"]["mean"]
    away, bars = [], []
    for rho in _RHOS["usam"]:
        for b in _BATCHES:
            one = usam.sel(rho=rho, B=b, momentum=0.0)
            theory = float(exact.sel(rho=rho, B=b, method="nearest"))
            away.append(abs(one.mean / theory - 1.0))
            bars.append(float(np.std(one.times)) / np.sqrt(one.n) / theory)
    return Claim(
        f"SGD and USAM: mean escape times are the diffusion's exact ones ({len(away)} ensembles)",
        "within 4 standard errors + 2 lr",
        f"at most {100 * max(away):.1f} % off, standard errors up to {100 * max(bars):.1f} %",
        all(a < 4 * e + 2 * _LR for a, e in zip(away, bars, strict=True))
        and all(one.censored == 0 for one in usam.sel(momentum=0.0)),
    )


def _slowing(usam: EscapeSweep, sam: EscapeSweep) -> list[Claim]:
    """By which factor SAM is slower than SGD, and when it never leaves."""
    means = []
    for b in _BATCHES:
        slow, sgd = (usam.sel(rho=rho, B=b, momentum=0.0) for rho in (_SLOW["usam"], 0.0))
        errors = [np.std(one.times) / one.mean / np.sqrt(one.n) for one in (slow, sgd)]
        means.append((slow.mean / sgd.mean, slow.mean / sgd.mean * np.hypot(*errors)))
    (small, small_error), (large, large_error) = means[0], means[-1]
    medians = [sam.sel(rho=_SLOW["sam"], B=b, momentum=0.0).median for b in _BATCHES]
    medians /= np.array([sam.sel(rho=0.0, B=b, momentum=0.0).median for b in _BATCHES])
    limits = trapping_rho(-1.0, _BATCHES**-0.5, 2)
    free: list[float] = []
    trapped: list[float] = []
    for rho in _RHOS["sam"]:
        for b, limit in zip(_BATCHES, limits, strict=True):
            for momentum in _MOMENTA:
                one = sam.sel(rho=rho, B=b, momentum=momentum)
                if abs(rho / limit - 1.0) > _NEAR:
                    (free if rho < limit else trapped).append(one.escapes / one.n)
    both = []
    for name, sweep in (("usam", usam), ("sam", sam)):
        slow, sgd = (sweep.sel(B=_BATCH, rho=rho) for rho in (_SLOW[name], 0.0))
        both.append([slow.sel(momentum=m).median / sgd.sel(momentum=m).median for m in (0.0, 0.9)])
    return [
        Claim(
            "with momentum 0.9 in both SAM is slower than SGD still, by less (USAM, SAM; medians)",
            "1 < ratio < that without momentum",
            ", ".join(f"{late:.2f} < {plain:.2f}" for plain, late in both),
            all(1.0 < late < plain for plain, late in both),
        ),
        Claim(
            "USAM, rho = 0.75: mean steps over SGD's, B = 4, 16, 64: small batches do not mend it",
            "B = 4 no less than B = 64",
            ", ".join(f"{ratio:.2f} +- {error:.2f}" for ratio, error in means),
            bool(small - large > -4 * np.hypot(small_error, large_error)),
        ),
        Claim(
            "SAM, rho = 0.3: median steps over SGD's, B = 4, 16, 64: small batches mend it",
            "increasing",
            ", ".join(f"{ratio:.2f}" for ratio in medians),
            bool(medians[0] < 0.5 * medians[1] and medians[1] < medians[2]),
        ),
        Claim(
            "SAM: above rho = s/(c_2 abs(l)) the saddle traps, whatever the momentum; below not "
            f"({len(trapped)} and {len(free)} ensembles)",
            "share escaped: 0 above, > 1/2 below",
            f"at most {max(trapped):.3f} above, at least {min(free):.3f} below",
            max(trapped) == 0.0 and min(free) > 0.5,
        ),
    ]


def draw(runs: Runs) -> Figure:
    """Survival by rho, momentum and batch size, of both SAMs, and the means beside theory."""
    figure, axes = plt.subplots(2, 3, figsize=(11.5, 7.4))
    for row, name in zip(axes, ("usam", "sam"), strict=True):
        sweep, slow = _times(runs, name), _SLOW[name]
        by_rho = {_said(rho): sweep.sel(rho=rho, B=_BATCH, momentum=0.0) for rho in _RHOS[name]}
        _draw_survival(by_rho, row[0])
        by_momentum = {"SGD": sweep.sel(rho=0.0, B=_BATCH, momentum=0.0)}
        for momentum in _MOMENTA:
            by_momentum[rf"SAM, $\beta$ = {momentum:g}"] = sweep.sel(
                rho=slow, B=_BATCH, momentum=momentum
            )
        _draw_survival(by_momentum, row[1])
    _draw_means(runs, axes[0, 2])
    _draw_batches(runs, axes[1, 2])
    titles = (
        "un-normalised SAM, $B$ = 16",
        rf"the same, $\rho$ = {_SLOW['usam']:g}, with momentum",
        "the same: mean, and theory",
        "normalised SAM, $B$ = 16",
        rf"the same, $\rho$ = {_SLOW['sam']:g}, with momentum",
        rf"the same, $\rho$ = {_SLOW['sam']:g}: batch sizes",
    )
    for letter, title, ax in zip("abcdef", titles, axes.flat, strict=True):
        ax.set_title(f"({letter}) {title}", loc="left")
    return figure


def _said(rho: float) -> str:
    return "SGD" if rho == 0 else rf"$\rho$ = {rho:g}"


def _median(one: EscapeTimes) -> str:
    """The median with its interval, for a legend."""
    if not one.escapes:
        return "none escapes"
    low, high = one.median_interval
    return f"{one.median:,.0f} [{low:,.0f}, {high:,.0f}]"


def _draw_survival(times: dict[str, EscapeTimes], ax: Axes) -> None:
    labelled = {f"{said}: {_median(one)}": one for said, one in times.items()}
    plot.survival(labelled, ax, censored=False, legend=False)
    ax.axhline(0.5, color="0.8", lw=0.8, zorder=0)
    _finish(ax)


def _finish(ax: Axes) -> None:
    """Room for the legend above the curves."""
    ax.set(xlim=(0, _LAST), xlabel="step", ylim=(0, 1.6), yticks=np.linspace(0, 1, 6))
    ax.spines["left"].set_bounds(0, 1)
    ax.set_ylabel("share not escaped", y=0.31)
    ax.legend(loc="upper right", title="median step [95 % interval]", title_fontsize=8)


def _draw_means(runs: Runs, ax: Axes) -> None:
    sweep, exact = _times(runs, "usam"), runs["exact"]["mean"]
    for k, b in enumerate(_BATCHES):
        color = plot.COLORS[k]
        ax.plot(exact.rho, exact.sel(B=b), color=color, label=f"$B$ = {b:g}")
        ones = [sweep.sel(rho=rho, B=b, momentum=0.0) for rho in _RHOS["usam"]]
        means = np.array([one.mean for one in ones])
        bars = np.abs(np.array([one.mean_interval for one in ones]).T - means)
        ax.errorbar(_RHOS["usam"], means, bars, fmt="o", color=color, ms=4, mfc="white", capsize=2)
    ax.set(yscale="log", xlabel=r"$\rho$", ylabel="mean step of escape")
    ax.set_yticks([700, 1_000, 2_000, 4_000], ["700", "1000", "2000", "4000"])
    ax.minorticks_off()
    ax.plot([], [], color="black", label="exact, of the SDE")
    ax.errorbar([], [], [], fmt="o", color="black", ms=4, mfc="white", label="measured")
    ax.legend(loc="upper left")


def _draw_batches(runs: Runs, ax: Axes) -> None:
    sweep = _times(runs, "sam")
    slow, sgd = (
        {f"$B$ = {b:g}": sweep.sel(rho=rho, B=b, momentum=0.0) for b in _BATCHES}
        for rho in (_SLOW["sam"], 0.0)
    )
    _draw_survival(slow, ax)
    before = len(ax.lines)
    plot.survival(sgd, ax, censored=False, legend=False)
    for line in ax.lines[before:]:
        line.set(linestyle=":", label="_")
    ax.plot([], [], ":", color="black", label="SGD, likewise")
    _finish(ax)


EXPERIMENT = Experiment(
    name="kim-escape",
    title="SAM leaves a saddle more slowly than SGD; momentum and small batches mend it",
    source="Kim et al., arXiv 2301.06308",
    caption=(
        "Escape from the saddle of x^2/2 - y^2/2 + y^4/4, from the saddle itself to abs(y) > 1/2, "
        "lr = 0.005, Gaussian gradient noise of covariance abs(H)/B, the same for both of SAM's "
        "gradients; 1,000 independent runs each; Kaplan and Meier's share not escaped with its "
        "95 % band. Above, un-normalised SAM: (a) slower the larger rho, (b) momentum mends it "
        "(it speeds up SGD as well), "
        "(c) mean (bars: 95 %) and exact mean first-passage time of its SDE. "
        "Small batches speed up SGD and SAM alike, but not SAM in relation to SGD. Below, "
        "normalised SAM, which the noise weakens: (d) slower the larger rho, and trapped beyond "
        "rho = s/c_2 = 0.40; (e) momentum mends it; (f) so do small batches: SAM (solid) is close "
        "to SGD (dotted) at B = 4 and trapped at B = 64, where not one of 1,000 leaves."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
