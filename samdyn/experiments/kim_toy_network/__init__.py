"""A two-layer network with one neuron: where SAM ends near its line of saddles, and why."""

from __future__ import annotations

from samdyn.experiments.base import Experiment
from samdyn.experiments.kim_toy_network.claims import claims
from samdyn.experiments.kim_toy_network.figure import draw
from samdyn.experiments.kim_toy_network.measure import compute

EXPERIMENT = Experiment(
    name="kim-toy-network",
    title="A network of one neuron: SAM stays at a line of saddles, and what frees it",
    source="Kim et al., arXiv 2301.06308; network after Ziyin et al., arXiv 2107.11774",
    caption=(
        "The network w2 (w1 x)^2 with squared loss on 16 noisy samples (x uniform in +-sqrt(3), "
        "y = x^2 + N(0, 1); the paper gives no data), lr = 0.001. All of the line w1 = 0 is "
        "critical, for every sample: saddles where w2 > 0. (a) GD leaves a saddle for the global "
        "minima (dashed), normalised SAM stays by the line, in 5,000 steps (dots: the ends). (b) "
        "There it is not at rest: it drifts to saddles ever steeper (broad lines), as theory has "
        "it (dashed). (c) Rate at which abs(w1) grows at (0, 0.5): exact (lines) and measured (300 "
        "runs, 95 % bars). Theorem 1, with lambda_1 the Hessian's negative eigenvalue, is exact "
        "for the full batch; smaller batches trap at smaller rho still. (d) Shares of 300 runs "
        "that are stuck after 5,000 steps (solid: a mean loss nearer to the saddles' than to the "
        "least) or have diverged (dotted: to a loss above the saddles'), from w1 of N(0, 0.1^2) "
        "and w2 in (0.3, 0.7), with Wilson's 95 % bars: neither momentum beta = 0.9 nor B = 1 "
        "alone changes anything, both together free SAM, but only about rho = 0.1 to 0.2; beyond, "
        "they diverge too. (e) Mean loss (95 % bars), counted as on the line where a run diverged: "
        "it grows with rho unless momentum and noise go together. At rho = 0.5 with B = 4 and beta "
        "= 0.95, 96 % are stuck and yet the mean loss is below the line's: they are beside the "
        "line, not on it: half of them with abs(w1) between 0.05 and 0.13, at w2 near 6. (f) The "
        "same comparison on six other draws of the samples (100 runs each, lr such that the "
        "growth is the same; thick: the mean): without momentum no batch size frees, with it there "
        "is a best one, and smaller ones are worse: it is not monotone."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
