"""What is learnt from and what is tested on."""

from __future__ import annotations

from typing import NamedTuple

import torch

from samdyn.networks.problem import Samples
from samdyn.networks.seeds import generator
from samdyn.numbers import checked_number


class Data(NamedTuple):
    """Training and test samples of one task.

    ``classes`` is how many there are, the targets being their numbers; None if the targets are
    numbers to be fitted (regression).
    """

    train: Samples
    test: Samples
    name: str
    classes: int | None = None

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> Data:
        """The same data on another device, in another floating-point type.

        Parameters
        ----------
        device : torch.device or str, optional
        dtype : torch.dtype, optional
            Of inputs and of targets that are not classes.

        Examples
        --------
        >>> x, y = torch.ones(2, 3), torch.tensor([0, 1])
        >>> data = Data(Samples(x, y), Samples(x, y), "two", classes=2).to(dtype=torch.float64)
        >>> data.train.inputs.dtype, data.train.targets.dtype
        (torch.float64, torch.int64)
        """
        if dtype is not None and not dtype.is_floating_point:
            raise ValueError(f"dtype must be a floating-point type, got {dtype}")

        def moved(tensor: torch.Tensor) -> torch.Tensor:
            return tensor.to(device, dtype if tensor.is_floating_point() else None)

        train, test = (Samples(*map(moved, part)) for part in (self.train, self.test))
        return self._replace(train=train, test=test)


def with_label_noise(data: Data, share: float, seed: int = 0) -> Data:
    """The same data with symmetric noise in the training labels.

    Exactly ``round(share*n)`` of the n training labels, chosen at random, are drawn anew,
    uniformly from all classes. So the right one may be drawn again: about
    ``share*(1 - 1/classes)`` of the labels end up wrong. Test labels stay. With one seed, the
    labels that a smaller share draws anew are among those of a larger one, with the same result.

    Parameters
    ----------
    data : Data
        With classes.
    share : float
        From 0 to 1.
    seed : int, default 0

    Notes
    -----
    Source: Zhang et al., arXiv 1611.03530 (partially corrupted labels).

    Examples
    --------
    >>> x, y = torch.ones(1000, 1), torch.zeros(1000, dtype=torch.long)
    >>> clean = Data(Samples(x, y), Samples(x, y), "zeros", classes=2)
    >>> int(with_label_noise(clean, 0.4).train.targets.sum())  # about 0.4*1000/2
    201
    """
    if data.classes is None:
        raise ValueError(
            f"data must have classes for their labels to be noisy, {data.name} has none"
        )
    if not 0 <= checked_number("label_noise", share) <= 1:
        raise ValueError(f"label_noise must be a share from 0 to 1, got {share}")
    labels = data.train.targets
    draws = generator(seed, "label noise")
    order = torch.randperm(len(labels), generator=draws)
    drawn = torch.randint(data.classes, (len(labels),), generator=draws)
    which = order[: round(share * len(labels))]
    noisy = labels.clone()
    noisy[which.to(labels.device)] = drawn[which].to(labels)
    return data._replace(train=data.train._replace(targets=noisy))
