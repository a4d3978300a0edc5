"""The (lr, rho) phase diagram of SAM at a saddle, beside its theoretical boundary."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from samdyn import plot
from samdyn.algorithms import SAM, USAM
from samdyn.analysis.attraction.phase_diagram import phase_diagram
from samdyn.experiments.base import Claim, Experiment, Runs
from samdyn.losses.loss import Loss
from samdyn.systems.map import Map

_LRS = np.geomspace(0.01, 4.0, 41)
_RHOS = np.linspace(0.0, 2.5, 51)
_STARTS = {"usam": (0.03, 0.003), "usam_momentum": (0.03, 0.003), "sam": (0.01, 0.3)}
_RADIUS = 0.6
_STEPS = 20_000
_REFINE = 2
_PANELS = {"usam": 0.0, "usam_momentum": 0.9, "sam": 0.0}


def compute() -> Runs:
    """Three diagrams: un-normalised SAM, the same with momentum, normalised SAM."""
    loss = Loss("x**2/2 - y**2/2 + y**4/4")
    values = {"lr": _LRS, "rho": _RHOS}
    runs: Runs = {}
    for name, momentum in _PANELS.items():
        kind = SAM if name == "sam" else USAM
        system = Map(loss, kind(lr=0.1, rho=0.1, momentum=momentum))
        runs[name] = phase_diagram(
            system,
            values,
            _STARTS[name],
            about=(0, 0),
            radius=_RADIUS,
            steps=_STEPS,
            refine=_REFINE,
        )
    return runs


def _trapped(runs: Runs, name: str) -> np.ndarray:
    words = runs[name].label.attrs["flag_meanings"].split()
    return runs[name].label.values == words.index("trapped")


def claims(runs: Runs) -> list[Claim]:
    """That the trapped region is where the linear part says, and what normalised SAM does."""
    found = []
    for name in ("usam", "usam_momentum"):
        momentum = _PANELS[name]
        lr, rho = np.meshgrid(runs[name].lr, runs[name].rho, indexing="ij")
        # eigenvalues 1 and -1 of the Hessian: 0 < l(1 + rho l) < 2(1 + momentum)/lr for both
        theory = (rho > 1) & (lr * (1 + rho) < 2 * (1 + momentum))
        clear = (np.abs(rho - 1) > 0.05) & (np.abs(lr * (1 + rho) / (2 + 2 * momentum) - 1) > 0.1)
        trapped = _trapped(runs, name)
        missed = float(np.mean(~trapped[clear & theory]))
        found.append(
            Claim(
                f"un-normalised, momentum {momentum:g}: trapped wherever theory says attractor",
                "0 % missed",
                f"{missed:.1%} missed, {np.mean(trapped[clear & ~theory]):.1%} more",
                missed < 0.01,
            )
        )
    sam = runs["sam"]
    trapped = _trapped(runs, "sam")
    small = (sam.lr < 0.2).values
    start = _STARTS["sam"][1]
    low = (sam.rho < start - 0.02).values
    high = ((sam.rho > start + 0.02) & (sam.rho < 1.5)).values
    below, above = (float(trapped[small][:, part].mean()) for part in (low, high))
    found.append(
        Claim(
            f"normalised, lr < 0.2: from height {start:g} trapped for rho = {start:g} to 1.5",
            "0 % below, 100 % above",
            f"{below:.1%} below, {above:.1%} above",
            below < 0.01 and above > 0.99,
        )
    )
    return found


def draw(runs: Runs) -> Figure:
    """The three diagrams side by side."""
    figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.9), sharey=True)
    titles = (
        "(a) un-normalised SAM",
        r"(b) un-normalised, $\beta$ = 0.9",
        "(c) normalised SAM",
    )
    for name, title, ax in zip(_PANELS, titles, axes, strict=True):
        plot.phase_diagram(runs[name], ax=ax)
        ax.set_title(title, loc="left")
        if ax is not axes[0]:
            ax.set_ylabel("")
    axes[2].axhline(_STARTS["sam"][1], color="black", lw=1.2, ls="--")
    axes[2].annotate(
        r"theory: $\rho = |y_0|$",
        (0.012, _STARTS["sam"][1]),
        xytext=(0, 4),
        textcoords="offset points",
    )
    return figure


EXPERIMENT = Experiment(
    name="kim-phase-diagram",
    title="What SAM does at a saddle, over learning rate and rho, beside the theoretical boundary",
    source="Kim et al., arXiv 2301.06308, Theorem 1, with its exact form at finite lr",
    caption=(
        "SAM near the saddle of x^2/2 - y^2/2 + y^4/4 (eigenvalues 1 and -1), 20,000 steps; "
        "trapped: within 0.6 of the saddle for good. (a) Un-normalised SAM from (0.03, 0.003) is "
        "trapped where both multipliers are inside the unit circle (line): from rho = "
        "-1/lambda_1 = 1 on and up to lr (1 + rho) = 2; (b) momentum leaves the lower limit where "
        "it is. (c) Normalised SAM from (0.01, 0.3) is trapped from the rho on that reaches across "
        "the saddle from the start, and until it reaches beyond the other minimum."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
