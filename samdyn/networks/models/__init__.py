"""Networks: from a perceptron to wide residual networks, and two that are products of weights.

All are plain torch modules, made with weights from torch's own random state; `initialised` draws
them from a seed. Any other module may take their place: what `initialised` needs is that those
with weights of their own have ``reset_parameters``.
"""

from samdyn.networks.models.cnn import cnn, vgg
from samdyn.networks.models.mlp import mlp
from samdyn.networks.models.products import diagonal_linear, matrix_factorization
from samdyn.networks.models.residual import resnet18, wide_resnet
from samdyn.networks.models.weights import initialised

__all__ = [
    "cnn",
    "diagonal_linear",
    "initialised",
    "matrix_factorization",
    "mlp",
    "resnet18",
    "vgg",
    "wide_resnet",
]
