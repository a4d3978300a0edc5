"""Tasks that are drawn from a seed: regression with a known truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from samdyn.networks.data.data import Data
from samdyn.networks.models import initialised, mlp
from samdyn.networks.models.layers import Activation
from samdyn.networks.problem import Samples
from samdyn.networks.seeds import derived_seed, generator
from samdyn.numbers import checked_number, checked_whole


def teacher(
    inputs: int = 20,
    hidden: int = 5,
    seed: int = 0,
    *,
    outputs: int = 1,
    activation: Activation = "relu",
) -> nn.Module:
    """The network that labels the inputs of `teacher_student`, in double precision.

    Its weights are drawn as for any `models.mlp`, but they are not those that `initialised`
    draws from the same seed, for a student may start there.

    Parameters
    ----------
    inputs, hidden, seed, outputs, activation
        As for `teacher_student`.

    Examples
    --------
    >>> data = teacher_student(inputs=3, seed=7, dtype=torch.float64)
    >>> wise = teacher(inputs=3, seed=7)
    >>> torch.equal(wise(data.test.inputs), data.test.targets)
    True
    """
    with torch.random.fork_rng(devices=[]):  # making a module draws from torch's own state
        network = mlp(inputs, hidden, outputs, activation=activation).double()
    return initialised(network, derived_seed(seed, "teacher"))


def teacher_student(
    inputs: int = 20,
    hidden: int = 5,
    samples: int = 1000,
    noise: float = 0.0,
    seed: int = 0,
    *,
    outputs: int = 1,
    test: int = 1000,
    activation: Activation = "relu",
    dtype: torch.dtype = torch.float32,
) -> Data:
    """Standard normal inputs and what a random perceptron, the teacher, says to them.

    A student of the teacher's shape or wider can reach a loss of 0 if there is no noise.

    Parameters
    ----------
    inputs : int, default 20
    hidden : int, default 5
        Units of the teacher's hidden layer.
    samples : int, default 1000
        To train with.
    noise : float, default 0
        Standard deviation of the normal noise on the training targets; test targets have none.
    seed : int, default 0
        Of the teacher, the inputs and the noise. Another ``noise`` leaves the first two alone.
    outputs : int, default 1
    test : int, default 1000
        Samples to test with.
    activation : str or callable, default "relu"
        The teacher's, as for `models.mlp`.
    dtype : torch.dtype, default torch.float32

    Examples
    --------
    >>> data = teacher_student(inputs=3, samples=50)
    >>> data.train.inputs.shape, data.train.targets.shape
    (torch.Size([50, 3]), torch.Size([50, 1]))
    """
    checked_number("noise", noise, minimum=0.0)
    sizes = [checked_whole("samples", samples, 1), checked_whole("test", test, 1)]
    wise = teacher(inputs, hidden, seed, outputs=outputs, activation=activation)
    draws = generator(seed, "teacher_student")
    parts = []
    for size in sizes:
        x = torch.randn(size, inputs, generator=draws, dtype=torch.float64)
        with torch.no_grad():
            parts.append(Samples(x, wise(x)))
    train, unseen = parts
    error = torch.randn(train.targets.shape, generator=draws, dtype=torch.float64)
    train = train._replace(targets=train.targets + noise * error)
    return Data(train, unseen, "teacher_student").to(dtype=dtype)


def matrix_factorization(
    rows: int = 10,
    columns: int = 10,
    rank: int = 3,
    samples: int = 256,
    seed: int = 0,
    *,
    singular_values: Sequence[float] | None = None,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """A random matrix M of low rank, by its products with whitened inputs.

    With `models.matrix_factorization` and the loss "mse" the mean loss is exactly
    |U V^T - M|_F^2, for the n training inputs x satisfy sum x x^T = n*I; minibatches see a noisy
    version of it. At U = V = 0 lies a saddle, where the Hessian's eigenvalues are ±2 times the
    singular values of M, each as often as U has columns. The test inputs are the axes times
    sqrt(columns), so that the test loss is the same function.

    Parameters
    ----------
    rows, columns : int, default 10
        Of M.
    rank : int, default 3
        Of M.
    samples : int, default 256
        To train with, at least as many as columns.
    seed : int, default 0
    singular_values : sequence of float, optional
        Of M, one for each of its rank; left out: evenly spaced from 1 down to 1/rank.
    dtype : torch.dtype, default torch.float32

    Examples
    --------
    >>> data = matrix_factorization(4, 3, rank=2, samples=12, singular_values=[3, 1])
    >>> round(float((data.test.targets**2).sum(dim=1).mean()), 4)  # |M|_F^2
    10.0
    """
    checked_whole("rank", rank, 1)
    if rank > min(checked_whole("rows", rows, 1), checked_whole("columns", columns, 1)):
        raise ValueError(f"rank must be at most rows and columns, got {rank} for {rows}x{columns}")
    checked_whole("samples", samples, columns)
    if singular_values is None:
        singular_values = [1 - j / rank for j in range(rank)]
    if len(singular_values) != rank:
        raise ValueError(
            f"singular_values must be {rank}, as many as the rank, got {len(singular_values)}"
        )
    values = torch.as_tensor(
        [checked_number("singular_values", value, above=0.0) for value in singular_values],
        dtype=torch.float64,
    )
    draws = generator(seed, "matrix_factorization")

    def orthonormal(n: int, k: int) -> torch.Tensor:
        drawn = torch.randn(n, k, generator=draws, dtype=torch.float64)
        return torch.linalg.qr(drawn).Q

    matrix = orthonormal(rows, rank) * values @ orthonormal(columns, rank).T
    white = samples**0.5 * orthonormal(samples, columns)
    axes = columns**0.5 * torch.eye(columns, dtype=torch.float64)
    train, test = (Samples(x, x @ matrix.T) for x in (white, axes))
    return Data(train, test, "matrix_factorization").to(dtype=dtype)


def diagonal_linear(
    n: int = 20,
    d: int = 30,
    sparsity: int = 3,
    seed: int = 0,
    *,
    test: int = 1000,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """Sparse regression with more features than samples: y = theta·x, without noise.

    Inputs are standard normal; theta is non-negative, of unit norm, and 0 but for its first
    ``sparsity`` entries. Which of the many interpolating solutions `models.diagonal_linear`
    ends in depends on the algorithm, and the test loss tells them apart.

    Parameters
    ----------
    n : int, default 20
        Samples to train with.
    d : int, default 30
        Features.
    sparsity : int, default 3
    seed : int, default 0
        Drawn by NumPy's legacy generator, so that the defaults are the data of the paper's code.
    test : int, default 1000
        Samples to test with.
    dtype : torch.dtype, default torch.float32

    Notes
    -----
    Source: Andriushchenko and Flammarion, arXiv 2206.06232. Their loss is half of "mse": a
    learning rate or radius times the gradient there is twice that here.

    Examples
    --------
    >>> data = diagonal_linear()
    >>> data.train.inputs.shape, data.test.targets.shape
    (torch.Size([20, 30]), torch.Size([1000, 1]))
    """
    sizes = {"n": n, "test": test, "d": d, "sparsity": sparsity}
    n, test, d, sparsity = (checked_whole(*size, 1) for size in sizes.items())
    if sparsity > d:
        raise ValueError(f"sparsity must be at most d = {d}, got {sparsity}")
    random = np.random.RandomState(checked_whole("seed", seed, 0))
    inputs = [random.standard_normal((size, d)) for size in (n, test)]
    theta = np.abs(random.standard_normal(d))
    theta[sparsity:] = 0
    theta /= np.linalg.norm(theta)
    train, unseen = (
        Samples(torch.from_numpy(x), torch.from_numpy(x @ theta)[:, None]) for x in inputs
    )
    return Data(train, unseen, "diagonal_linear").to(dtype=dtype)
