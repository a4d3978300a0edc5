"""Adversarial training: any algorithm, on minibatches that are attacked before its step."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from types import SimpleNamespace
from typing import cast

import numpy as np
import torch
from torch import Tensor

from samdyn.algorithms.base import Algorithm, Oracle, State
from samdyn.networks.attack import Attack, checked_attack, default_lr, slopes
from samdyn.networks.oracle import MinibatchOracle
from samdyn.networks.order import Batch
from samdyn.networks.problem import Buffers, Problem, Samples
from samdyn.numbers import Number, checked_number


@dataclass(frozen=True, eq=False, repr=False)
class Adversarial(Algorithm):
    """Adversarial training with any algorithm: its steps see minibatches under attack.

    Before a step the inputs of its minibatch are moved, each by no more than ``epsilon``, to where
    the loss is higher: projected gradient ascent, from a random point within ``epsilon``, along
    the sign of the gradient (in norm 2: along its direction). The inner algorithm then takes its
    step on these as if they were the data. There is one attack a minibatch, at the weights at which
    the step begins: both of SAM's gradients, and all parts of m-SAM, see the same inputs. Each
    fast step of a `samdyn.Lookahead` within has its own.

    Parameters
    ----------
    algorithm : Algorithm
        Such as ``GD(lr=0.1, momentum=0.9)``.
    epsilon : float or array
        How far an input may be moved, at least 0.
    attack_lr : float or array, optional
        Length of a step of the attack. Default: ``2.5*epsilon/attack_steps``.
    attack_steps : int, default 10
    norm : float, default math.inf
        In which distance is measured: of the largest change of an entry, or 2.
    bounds : (low, high), optional
        Of the data, which an attack does not leave: (0, 1) for pixels. Default: none.
    random_start : bool, default True
        Whether an attack begins at a random point, which is of the seed and the minibatch's
        number alone, or at the input itself.

    Raises
    ------
    TypeError, ValueError
        If an argument is refused, or the inner algorithm is adversarial already.

    Notes
    -----
    The network is in training mode during an attack: batch norm normalises by the statistics of the
    batch as it is then, and its running ones are moved by the step alone, on the attacked inputs.
    Dropout draws once for the attack and the step. It trains networks only: a formula has no
    inputs. Algorithms that need the gradient on all samples (DNSAM) are refused.

    References
    ----------
    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", ICLR 2018
    (arXiv 1706.06083). Switched on late in training: Zhou et al. (arXiv 2410.10373), Fig. 6.

    Examples
    --------
    >>> from samdyn import GD, SAM, Switch
    >>> gd = GD(lr=0.1, momentum=0.9)
    >>> late = Switch([(0, gd), (90, Adversarial(gd, epsilon=0.1))], unit="epoch")
    >>> Adversarial(SAM(lr=0.1, rho=0.05), epsilon=[0.0, 0.1]).numbers
    {'lr': 0.1, 'rho': 0.05, 'epsilon': array([0. , 0.1])}
    """

    algorithm: Algorithm
    epsilon: Number
    attack_lr: Number | None = None
    attack_steps: int = 10
    norm: float = math.inf
    bounds: tuple[float, float] | None = None
    random_start: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.algorithm, Algorithm):
            raise TypeError(f"algorithm must be an algorithm, got {self.algorithm!r}")
        taken = sorted({"epsilon", "attack_lr"}.intersection(self.algorithm.numbers))
        if taken:
            raise ValueError(
                f"algorithm has a number named {taken[0]} already, which Adversarial needs"
            )
        attack = self._attack
        object.__setattr__(self, "norm", attack.norm)
        object.__setattr__(self, "bounds", attack.bounds)
        for name, value in self._own.items():
            object.__setattr__(self, name, checked_number(name, value, minimum=0.0))

    def __repr__(self) -> str:
        said = [repr(self.algorithm)]
        for field in fields(self)[1:]:
            value = getattr(self, field.name)
            if np.ndim(value) or value != field.default:
                said.append(f"{field.name}={value!r}")
        return f"Adversarial({', '.join(said)})"

    @property
    def _attack(self) -> Attack:
        return checked_attack(self.attack_steps, self.norm, self.bounds, self.random_start)

    @property
    def _own(self) -> dict[str, Number]:
        chosen = {} if self.attack_lr is None else {"attack_lr": self.attack_lr}
        return {"epsilon": self.epsilon, **chosen}

    @property
    def title(self) -> str:
        """What the algorithm is called."""
        return f"Adversarial {self.algorithm.title}"

    @property
    def numbers(self) -> dict[str, Number]:
        """Those of the inner algorithm, and the attack's."""
        return {**self.algorithm.numbers, **self._own}

    @property
    def state(self) -> tuple[str, ...]:
        """That of the inner algorithm."""
        return self.algorithm.state

    def replace(self, **numbers: Number) -> Adversarial:
        """The same with other values of some numbers, its own or the inner algorithm's."""
        inner = {name: numbers.pop(name) for name in self.algorithm.numbers if name in numbers}
        given = {"algorithm": self.algorithm.replace(**inner)} if inner else {}
        return cast(Adversarial, super().replace(**numbers, **given))

    def check(self, samples: Samples) -> None:
        """Refuse samples whose inputs cannot be attacked.

        Raises
        ------
        TypeError
            If they are whole numbers.
        ValueError
            If some are out of bounds.
        """
        self._attack.check(samples.inputs)

    def gradient(self, grad: Oracle, n: SimpleNamespace) -> Oracle:
        """The inner algorithm's, on the attacked minibatch."""
        return self.algorithm.gradient(self._attacked(grad, n), self._inner(n))

    def step(self, grad: Oracle, z: State, n: SimpleNamespace) -> State:
        """The inner algorithm's, on the attacked minibatch."""
        return self.algorithm.step(self._attacked(grad, n), z, self._inner(n))

    def _inner(self, n: SimpleNamespace) -> SimpleNamespace:
        return SimpleNamespace(**{name: getattr(n, name) for name in self.algorithm.numbers})

    def _attacked(self, grad: Oracle, n: SimpleNamespace) -> MinibatchOracle:
        """The gradient on the attacked minibatch."""
        if not isinstance(grad, MinibatchOracle):
            raise TypeError(
                "Adversarial attacks the inputs of a network, which a formula does not have; train "
                "a network by it: samdyn.networks.train"
            )
        attack = self._attack
        lr = default_lr(n.epsilon, attack.steps) if self.attack_lr is None else n.attack_lr

        def change(problem: Problem, w: Tensor, batch: Batch, buffers: Buffers) -> Samples:
            inputs, targets = batch.samples

            def slope(x: Tensor) -> Tensor:
                if batch.seed is not None:
                    torch.manual_seed(batch.seed)
                return slopes(problem, w, Samples(x, targets), buffers, training=True)

            start = batch.noise() if attack.random_start else None
            return Samples(attack(slope, inputs, n.epsilon, lr, start), targets)

        return grad.changed(change, noisy=attack.random_start)
