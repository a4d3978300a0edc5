"""How robust a network is: its samples under attack, and the share that comes to a wrong class."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from samdyn.networks.attack import Attack, checked_attack, default_lr, slopes
from samdyn.networks.order import noise
from samdyn.networks.problem import Problem, Samples, checked_weights
from samdyn.numbers import checked_number, checked_whole


def attacked(
    problem: Problem,
    w: Tensor,
    samples: Samples | None = None,
    *,
    epsilon: float,
    attack_lr: float | None = None,
    attack_steps: int = 10,
    norm: float = math.inf,
    bounds: tuple[float, float] | None = None,
    random_start: bool = True,
    seed: int = 0,
) -> Samples:
    """Samples whose inputs an attack has moved to where the loss is higher.

    Projected gradient ascent: from a random point within ``epsilon`` of the input, steps along
    the sign of the loss's gradient (in norm 2: along its direction), each followed by the
    projection onto the ball and, with ``bounds``, onto the data's range. The network is in
    evaluation mode.

    Parameters
    ----------
    problem : Problem
    w : Tensor, shape (d,)
    samples : Samples, optional
        Default: the problem's.
    epsilon : float
        How far an input may be moved, at least 0.
    attack_lr : float, optional
        Length of a step. Default: ``2.5*epsilon/attack_steps``.
    attack_steps : int, default 10
    norm : float, default math.inf
        In which distance is measured: of the largest change of an entry, or 2.
    bounds : (low, high), optional
        Of the data, which no input leaves. Default: none.
    random_start : bool, default True
    seed : int, default 0
        Of the random start.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, or an input is outside of the bounds or no floating-point number.

    References
    ----------
    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018
    (arXiv 1706.06083).

    Examples
    --------
    >>> line = torch.nn.Linear(2, 1, bias=False)
    >>> problem = Problem(line, Samples(torch.zeros(1, 2), torch.tensor([1.0])), "mse")
    >>> attacked(problem, torch.tensor([2.0, -1.0]), epsilon=0.1).inputs
    tensor([[-0.1000,  0.1000]])
    """
    w = checked_weights(problem, w)
    samples = problem.samples if samples is None else samples
    attack = checked_attack(attack_steps, norm, bounds, random_start)
    reach, lr = _checked_numbers(epsilon, attack_lr, attack_steps)
    attack.check(samples.inputs)
    start = noise(samples.inputs, checked_whole("seed", seed, 0)) if random_start else None
    return _moved(attack, problem, w, samples, reach, lr, start)


def robust_error(
    problem: Problem,
    w: Tensor,
    *,
    epsilon: float,
    attack_lr: float | None = None,
    attack_steps: int = 20,
    restarts: int = 1,
    norm: float = math.inf,
    bounds: tuple[float, float] | None = None,
    seed: int = 0,
) -> float:
    """The share of samples that are in the wrong class, or that an attack brings there.

    It is a lower bound of the share that the worst input within ``epsilon`` would give: more
    ``restarts`` and ``attack_steps`` can only bring it nearer. The network is in evaluation mode.

    Parameters
    ----------
    problem : Problem
        Whose targets are classes. For a test set: ``problem.on(data.test)``.
    w : Tensor, shape (d,)
    epsilon, attack_lr, norm, bounds
        As in `attacked`.
    attack_steps : int, default 20
    restarts : int, default 1
        Attacks, each with a random start of its own, on what is still in its class.
    seed : int, default 0
        Of the random starts.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, or the targets are no classes.

    Examples
    --------
    As a measure of a training: ``track={"robust_error": lambda problem, w: robust_error(
    problem.on(data.test), w, epsilon=0.1)}``. Of a line that is wrong on the left of 0:

    >>> line = torch.nn.Linear(1, 2, bias=False)
    >>> x = torch.tensor([[-1.0], [0.05], [0.2], [1.0]])
    >>> problem = Problem(line, Samples(x, torch.tensor([1, 1, 1, 1])))
    >>> robust_error(problem, torch.tensor([0.0, 1.0]), epsilon=0.1)
    0.5
    """
    w = checked_weights(problem, w)
    samples = problem.samples
    if samples.targets.is_floating_point():
        raise TypeError(f"targets must be classes, whole numbers, got {samples.targets.dtype}")
    attack = checked_attack(attack_steps, norm, bounds)
    reach, lr = _checked_numbers(epsilon, attack_lr, attack_steps)
    attack.check(samples.inputs)
    right = _right(problem, w, samples)
    for k in range(checked_whole("restarts", restarts, 1)):
        start = noise(samples.inputs, checked_whole("seed", seed, 0), k)
        left = right.nonzero()[:, 0]
        if not len(left):
            break
        moved = _moved(attack, problem, w, samples.take(left), reach, lr, start[left])
        right[left] = _right(problem, w, moved)
    return int((~right).sum()) / samples.size


def _checked_numbers(epsilon: Any, attack_lr: Any, steps: int) -> tuple[float, float]:
    given = {"epsilon": epsilon}
    given |= {} if attack_lr is None else {"attack_lr": attack_lr}
    for name, value in given.items():
        if not isinstance(checked_number(name, value, minimum=0.0), float):
            raise TypeError(f"{name} must be one number here, got an array")
    return epsilon, default_lr(epsilon, steps) if attack_lr is None else attack_lr


def _moved(
    attack: Attack,
    problem: Problem,
    w: Tensor,
    samples: Samples,
    epsilon: float,
    lr: float,
    start: Tensor | None,
) -> Samples:
    def slope(inputs: Tensor) -> Tensor:
        return slopes(problem, w, Samples(inputs, samples.targets), problem.buffers)

    return Samples(attack(slope, samples.inputs, epsilon, lr, start), samples.targets)


@torch.no_grad()
def _right(problem: Problem, w: Tensor, samples: Samples) -> Tensor:
    """Which samples are in their class."""
    pieces = zip(*(t.split(problem.chunk) for t in samples), strict=True)
    return torch.cat([problem.outputs(w, x).argmax(dim=-1) == y for x, y in pieces])
