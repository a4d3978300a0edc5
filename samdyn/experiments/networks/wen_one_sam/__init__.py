"""Wen, Ma and Li on a network: full-batch SAM lowers lambda_1, SAM with one sample the trace."""

from __future__ import annotations

from samdyn.experiments.base import Experiment, Runs
from samdyn.experiments.networks.threads import one_thread
from samdyn.experiments.networks.wen_one_sam.claims import claims
from samdyn.experiments.networks.wen_one_sam.figure import draw


def compute() -> Runs:
    """Train to interpolation; from there GD, SAM in three ways, and the limiting flows."""
    with one_thread():
        from samdyn.experiments.networks.wen_one_sam.training import computed

        return computed()


EXPERIMENT = Experiment(
    name="wen-one-sam",
    title="A network: SAM lowers lambda_1 with the full batch, the trace with one sample",
    source="Wen, Ma and Li, arXiv 2211.05729, Theorems 4.5 and 5.4, equations 7 and 18",
    caption=(
        "A 5-16-1 tanh network that fits 4 samples of a teacher, MSE, float64, started from "
        "weights that GD has trained to interpolate; rho = 0.1, lr = 0.08, no momentum, 2,400 "
        "steps, 8 seeds; means with 95 % intervals. Largest eigenvalue and trace of the Hessian "
        "are those at the interpolating weights beside the network. (a, b) GD stays where it is. "
        "SAM with the full batch ends with the lower lambda_1, and leaves the trace high; with "
        "one sample, be it m = 1 on all samples at once or batch size 1, it ends with the lower "
        "trace: as do the limiting flows of Wen et al. from the same weights (dashed, dotted), of "
        "which all are ahead at first, since lr is finite. Early on batch size 1 lowers even "
        "lambda_1 faster: the theorems are on flows, not on who is sharper at a given time. With "
        "the factor (1 - lr lambda_1/2)^-2 the flow is where full-batch SAM is (circles). (c) "
        "The largest distance between a network's weights and its limiting flow's up to slow "
        "time 0.48 is of first order in lr, also with one sample, where Theorem 5.4 is content "
        "with less; with the factor (white) about a fifth of it is left at lr = 0.08; what is left "
        "does not fall with lr. Markers of one lr are drawn side by side. "
        "(d) Continued from the end with smaller rho: the gradient aligns with the top "
        "eigenvector to an angle of order rho with the full batch, and does not with batch "
        "size 1."
    ),
    compute=compute,
    claims=claims,
    draw=draw,
    needs="torch",
)
