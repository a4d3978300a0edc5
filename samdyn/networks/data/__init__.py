"""Data: what comes with scikit-learn, what is drawn from a seed, and CIFAR from its archives.

Nothing is downloaded.
"""

from samdyn.networks.data import augment
from samdyn.networks.data.cifar import cifar10, cifar100
from samdyn.networks.data.data import Data, with_label_noise
from samdyn.networks.data.digits import digits
from samdyn.networks.data.generated import (
    diagonal_linear,
    matrix_factorization,
    teacher,
    teacher_student,
)

__all__ = [
    "Data",
    "augment",
    "cifar10",
    "cifar100",
    "diagonal_linear",
    "digits",
    "matrix_factorization",
    "teacher",
    "teacher_student",
    "with_label_noise",
]
