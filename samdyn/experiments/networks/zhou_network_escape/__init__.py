"""SAM leaves the minimum or end of SGD that a network is at: how fast, and what lies between.

``script/escape.py`` of github.com/zzp1012/SAM-in-Late-Phase, as released, takes SAM's first step
(the ascent) and the second gradient in each iteration but does not call ``second_step``: the
weights are not put back and no descent is made. So Fig. 4b is redone here by a SAM step that is
tested against closed forms.
"""

from __future__ import annotations

from samdyn.experiments.base import Experiment
from samdyn.experiments.networks.zhou_network_escape.claims import claims
from samdyn.experiments.networks.zhou_network_escape.figure import draw
from samdyn.experiments.networks.zhou_network_escape.measure import compute

EXPERIMENT = Experiment(
    name="zhou-network-escape",
    title="SAM leaves a network's minimum, and SGD's end at the edge of stability, as theory says",
    source="Zhou et al., arXiv 2410.10373, Fig. 4b and 4c",
    caption=(
        "Networks on digits, loss |f - y|^2 with one-hot y; USAM is SAM un-normalised. (a) A tanh "
        "network 64-32-10 that fits 100 digits to a loss of 1e-30; full-batch USAM, lr lambda_1 = "
        "1.5, starts 1e-8 aside along the top eigenvector, rho in units of the critical rho* = "
        "(2/(lr lambda_1) - 1)/lambda_1. The loss grows as abs(1 - lr lambda_1 (1 + rho "
        "lambda_1))^(2t) (dotted) over some 14 decades, then falls; after 800 steps lambda_1 is "
        "near SAM's own edge of stability. (b) A ReLU network 64-256-10 after 1,500 epochs of "
        "SGD on 100 digits (lr 0.1, batch 25, no momentum). It is no strictly stable minimum but "
        "at the edge of stability: lr lambda_1 = 2.03, where a step of full-batch GD multiplies by "
        "-1.03; the loss stays low under SGD all the same. From there 32 runs, each with its own "
        "minibatches. USAM escapes exponentially over four decades and more, nearly as steeply as "
        "full-batch theory (dotted); with rho = 0.01 also as the paper's deep network. Normalised "
        "SAM jumps, then grows by ever less. (c) A ReLU network 64-64-10 on all 1,257 digits (lr "
        "0.03, momentum 0.9, weight decay 5e-4, batch 32): 90 epochs of SGD, then ten of "
        "normalised SAM, or of SGD on the same minibatches, momentum beginning at 0 in both. The "
        "loss rises by half a decade in about an epoch, too little to call it exponential, and "
        "falls again; lambda_1 falls to some 40 %. (d) On lines between ends: none of the 12 from "
        "(b) has a barrier; from SGD to SAM in (c) it is a few hundredths, about a twentieth of "
        "that between SGD's ends from two seeds. Lines and bands: means over runs, seeds or pairs, "
        "and their 95 % intervals (32 runs in b, 12 seeds in c, 12 pairs in d)."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
    needs="torch",
)
