"""The same algorithms on networks: torch modules trained by the definitions of the toys.

`train` trains one; `data` and `models` have problems to begin with; `curvature`, `noise`,
`sharpness` and `landscape` look at a `Problem`: a network with a loss on samples, as a function of
one flat tensor of weights. Needs torch: ``pip install "samdyn[torch]"``.
"""

try:
    import torch  # noqa: F401
except ImportError:
    raise ImportError('samdyn.networks needs torch: pip install "samdyn[torch]"') from None

from samdyn.networks import curvature, data, landscape, models, noise
from samdyn.networks.adversarial import Adversarial
from samdyn.networks.history import trained
from samdyn.networks.interpolating import interpolating
from samdyn.networks.losses import CrossEntropy
from samdyn.networks.problem import Problem, Samples
from samdyn.networks.robustness import attacked, robust_error
from samdyn.networks.schedules import cosine
from samdyn.networks.sharpness import Sharpness, sharpness
from samdyn.networks.training import train

__all__ = [
    "Adversarial",
    "CrossEntropy",
    "Problem",
    "Samples",
    "Sharpness",
    "attacked",
    "cosine",
    "curvature",
    "data",
    "interpolating",
    "landscape",
    "models",
    "noise",
    "robust_error",
    "sharpness",
    "train",
    "trained",
]


def __dir__() -> list[str]:
    return sorted(__all__)
