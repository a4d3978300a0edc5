"""Zhou et al., Fig. 3 and 5: how many epochs of SAM a network needs, and whether first or last."""

from __future__ import annotations

from samdyn.experiments.base import Experiment
from samdyn.experiments.networks.zhou_late.claims import claims
from samdyn.experiments.networks.zhou_late.figure import draw
from samdyn.experiments.networks.zhou_late.training import compute

EXPERIMENT = Experiment(
    name="zhou-late",
    title="SAM in the last epochs does most of what SAM throughout does, at a constant lr",
    source="Zhou et al., arXiv 2410.10373, Fig. 3 and Fig. 5",
    caption=(
        "Networks 64-64-10 on scikit-learn's digits (1,257 samples to train with, 540 to test on), "
        "100 epochs, momentum 0.9. SAM trains a share of the epochs: the last ones (orange) or the "
        "first ones (blue). (a-c) How much of the gap between SGD alone (0) and SAM alone (1) is "
        "closed in the top eigenvalue and the trace of the Hessian of the plain training loss, "
        "with their values at both ends; bars: 95 % intervals (Fieller) of 5 seeds, which draw "
        "initial weights and minibatches. (a) ReLU, squared loss, constant lr = 0.03, batch 32, "
        "weight decay 5e-4, rho = 0.2: ten epochs of SAM at the end do nearly all of it, ten at "
        "the start less; but SAM's first half leaves the trace low, unlike in the paper. (b) "
        "With lr/10 from epoch 50 the effect of late SAM fades: ten epochs then close 0.50 of the "
        "gap in lambda_1, about what one does in (a), 0.47, and 0.44 of that in the trace, where "
        "one does 0.61 in (a); it is SAM in the first half, at the large lr, that closes the gap. "
        "(c) tanh, cross-entropy, a tenth of the training labels drawn anew, lr = 0.1, batch 50, "
        "rho = 1, no weight decay: as in the paper SGD undoes what SAM did in the first "
        "half. Ten epochs of SAM at the end close some 0.6 of the gap, as much as ninety before "
        "ten of SGD; one is too few, with lambda_1 even above SGD's (bars are cut at the edge). "
        "(d) Test error of (c) and (a), 95 % intervals (Student): late SAM lowers it where labels "
        "are noisy. With clean labels and the squared loss SAM throughout raises it a little, and "
        "after one or two epochs, amid the escape from SGD's minimum, it differs much between "
        "seeds."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
    needs="torch",
)
