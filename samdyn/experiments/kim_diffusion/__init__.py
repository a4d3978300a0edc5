"""Kim et al.'s Theorem 2: how far SGD and SAM diffuse from a saddle, by theory and measured."""

from __future__ import annotations

from samdyn.experiments.base import Experiment
from samdyn.experiments.kim_diffusion.claims import claims
from samdyn.experiments.kim_diffusion.figure import draw
from samdyn.experiments.kim_diffusion.measure import compute

EXPERIMENT = Experiment(
    name="kim-diffusion",
    title="Theorem 2: SAM diffuses less from a saddle than SGD, and momentum makes up for it",
    source="Kim et al., arXiv 2301.06308, Theorem 2, Corollary 1 and Theorem 3",
    caption=(
        "Mean squared displacement along the unstable direction (l = -1) of the saddle "
        "x^2/2 - y^2/2, from the saddle itself, un-normalised SAM, lr = 0.01, gradient noise of "
        "covariance abs(H)/B, B = 16 unless said otherwise. Markers: 4,000 runs; solid lines: the "
        "exact recursion, for the ascent by the full gradient the exact SDE (no fit); strips below "
        "(a-c): measured over exact, bars of two standard errors; dotted: the formulas as printed. "
        "(a) Theorem 2 is right for SGD and off for SAM: it has the drift l (1 + rho l)^2 where "
        "SAM has l (1 + rho l), so that its curves for rho = 0.5 and 1.5 are one. (b) It fits no "
        "way of drawing the noise, and beyond rho = 1 it grows where SAM is trapped; with one "
        "batch for both gradients neither drift nor noise is left at rho = 1. (c) Real minibatches "
        "of 64 samples: proportional to 1/B. (d) SGD's displacement less SAM's: of the SDE as the "
        "paper writes it (ascent by the full gradient) half of what is printed, at small t; with "
        "one batch for both gradients of first order in t. (e) Momentum raises the displacement; "
        "(f) the momentum with which SAM diffuses as far as SGD without, by the recursion, is "
        "close to rho abs(l)."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
