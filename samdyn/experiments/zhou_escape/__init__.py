"""A thousand runs leave the end point of SGD: how fast, and where they come to rest."""

from __future__ import annotations

from samdyn.experiments.base import Experiment
from samdyn.experiments.zhou_escape.claims import claims
from samdyn.experiments.zhou_escape.figure import draw
from samdyn.experiments.zhou_escape.measure import compute

EXPERIMENT = Experiment(
    name="zhou-escape",
    title="SAM escapes exponentially fast from the minimum that SGD found, then converges",
    source="Zhou et al., arXiv 2410.10373, Fig. 4b and 4c",
    caption=(
        "Example 4.1 with eight samples, L(u, v) the mean of tanh(v tanh(u x))^2/2, minibatches "
        "of 4, lr = 2.4. SGD is run until its loss is below 1e-7; from there 1,000 runs go on, "
        "each with its own minibatches. (a) Un-normalised SAM, rho = 0.5: the mean loss grows "
        "exponentially at the rate of the second-moment operator, a typical run at a lower one; "
        "the paper's deep network, drawn beside it, grows as fast, as lr and rho were so chosen. "
        "(b) Then the runs converge; normalised SAM, rho = 0.05, jumps in its first step, and "
        "its loss falls on as it drifts. Bands: 80 % of the runs. (c) Rates fitted against the "
        "sharpness where a run leaves and where it comes to rest, beside exact linear theory: all "
        "ends are flatter. (d) On lines from SAM's ends to SGD's the loss is nowhere above the "
        "higher end by more than a millionth of what was passed on the way."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
)
