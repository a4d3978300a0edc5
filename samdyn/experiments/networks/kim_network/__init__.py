"""A network stuck at its saddle under SAM, and what frees it."""

from __future__ import annotations

from samdyn.experiments.base import Experiment, Runs
from samdyn.experiments.networks.kim_network.claims import claims
from samdyn.experiments.networks.kim_network.escapes import escapes
from samdyn.experiments.networks.kim_network.figure import draw
from samdyn.experiments.networks.kim_network.linear import linear
from samdyn.experiments.networks.kim_network.setting import CLASSES, HIDDEN, SAMPLES
from samdyn.experiments.networks.threads import one_thread


def compute() -> Runs:
    """The linearised maps on the network itself, and trainings from near its saddle."""
    from samdyn.networks import data, models

    with one_thread():
        digits = data.digits().train.take(slice(0, SAMPLES))
        network = models.mlp(digits.inputs.shape[1], HIDDEN, CLASSES, activation="tanh", bias=False)
        double = digits._replace(inputs=digits.inputs.double())
        return {"linear": linear(network.double(), double), **escapes(network.float(), digits)}


EXPERIMENT = Experiment(
    name="kim-network",
    title="A network stuck at its saddle under SAM, and what frees it",
    source="Kim et al., arXiv 2301.06308, on digits",
    caption=(
        "MLP 64-32-10 with tanh and no biases on 256 digits, MSE, torch's initial weights times "
        "0.1: near the saddle at the origin. Each marker and line is a seed, 5 of full batches "
        "and 10 of minibatches. A network has left when its loss stays below 80 % of the initial "
        "one. Open markers: not left when last watched, weights about as small as at the start but "
        "for some orange ones that are on their way; crosses, at no step of their own: loss above "
        "the initial one or not finite. (a) Normalised SAM leaves later than GD, and with rho = "
        "0.2 not at all; momentum 0.9 frees it. (b) With lr = 0.05 (blue) rho of 0.2 and more is "
        "stuck in all seeds; momentum at that lr (orange) frees rho = 0.2 in about 100 steps, 0.3 "
        "and 0.5 late and not in all seeds. It is not momentum alone: without it lr = 0.1 frees "
        "rho = 0.2 and 0.3, and lr = 0.2 rho = 0.2, since SAM's cycle across the valley grows with "
        "lr and traps the weaker negative directions no more; at the larger rho shown they blow "
        "up, as does lr = 0.5, which has the same lr/(1 - m), at every rho (not shown). (c) Small "
        "batches do not help SAM here, unlike in the paper: with momentum 0.9 and rho = 0.2 the "
        "full batch leaves, 128 later and not in all seeds, 32 hardly, and 8 blows up; SGD leaves "
        "with all of them. (d) Un-normalised SAM on the network, from 1e-9 along the ten negative "
        "directions of the Hessian at the origin (markers), and 1 - lr l (1 + rho l) (lines, no "
        "fit): beyond rho = -1/l of the steepest that one is trapped, and the saddle as a whole "
        "only beyond the weakest's."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
    needs="torch",
)
