"""The saddle of a matrix factorisation: where SAM stays, and what frees it."""

from __future__ import annotations

from samdyn.experiments.base import Experiment
from samdyn.experiments.networks.kim_factorization.claims import claims
from samdyn.experiments.networks.kim_factorization.figure import draw
from samdyn.experiments.networks.kim_factorization.measure import compute

EXPERIMENT = Experiment(
    name="kim-factorization",
    title="SAM stays at the saddle of a matrix factorisation; momentum with noise frees it",
    source="Kim et al., arXiv 2301.06308",
    caption=(
        "U V^T learns a 10 x 10 matrix of singular values s = 1, 2/3, 1/3 from 32 whitened "
        "samples, squared loss, from U = V = 0 (a saddle of eigenvalues -2 s) but for N(0, 0.01^2) "
        "weights; lr = 0.05, 6 seeds. (a) Normalised SAM, 960 steps: the median step at which the "
        "loss is below 0.95 of the saddle's (of 48 records, spaced by 12 %), and how many seeds "
        "are stuck or diverged. Small batches alone free none and trap more at rho = 0.05; "
        "momentum beta = 0.9 with B = 8 frees SAM at rho = 0.1, less at 0.2 and not at 0.5; with "
        "B = 2 it diverges, SGD too. (b) The loss of each seed at rho = 0.1 and of GD; the three "
        "that are stuck coincide. (c) Un-normalised SAM, full batch, from 1e-8: growth along each "
        "singular direction, exact (lines) and measured (6 seeds, differing by less than 1e-10); "
        "the saddle attracts only beyond the threshold of the smallest. (d) So it learns the "
        "smallest singular value first, where GD learns the largest first, and loses it again as "
        "it learns the largest; each line a seed."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
    needs="torch",
)
