"""Random changes of images that leave their classes: a batch and a generator to a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from samdyn.numbers import checked_whole

Augmentation: TypeAlias = Callable[[Tensor, torch.Generator], Tensor]
"""Images (n, channels, height, width) and the generator to draw from, to as many images."""


@dataclass(frozen=True)
class CropAndFlip:
    """See `crop_and_flip`."""

    padding: int
    cutout: int
    fill: float | tuple[float, ...]

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """New images, each changed on its own."""
        if images.ndim != 4:
            raise ValueError(
                f"images must be of shape (n, channels, height, width), got {tuple(images.shape)}"
            )
        n, channels, height, width = images.shape

        def drawn(below: int) -> Tensor:
            here = torch.randint(below, (n, 1), generator=generator, device=generator.device)
            return here.to(images.device)

        p = self.padding
        top, left, flip = drawn(2 * p + 1), drawn(2 * p + 1), drawn(2).bool()
        down, along = (torch.arange(size, device=images.device) for size in (height, width))
        rows, columns = top + down, left + torch.where(flip, along.flip(0), along)
        fill = torch.as_tensor(self.fill, dtype=images.dtype, device=images.device)
        if fill.numel() not in (1, channels):
            raise ValueError(
                f"fill must be one number or one for each of {channels} channels, got {self.fill}"
            )
        frame = fill.reshape(-1, 1, 1).expand(channels, height + 2 * p, width + 2 * p)
        padded = frame.repeat(n, 1, 1, 1)
        padded[:, :, p : p + height, p : p + width] = images
        which = torch.arange(n, device=images.device)
        changed = padded[
            which[:, None, None, None],
            torch.arange(channels, device=images.device)[:, None, None],
            rows[:, None, :, None],
            columns[:, None, None, :],
        ]
        if self.cutout:
            hidden = [
                (along >= middle - self.cutout // 2) & (along < middle + (self.cutout + 1) // 2)
                for along, middle in ((down, drawn(height)), (along, drawn(width)))
            ]
            square = hidden[0][:, None, :, None] & hidden[1][:, None, None, :]
            changed = changed.masked_fill(square, 0.0)
        return changed


def crop_and_flip(
    padding: int = 4, cutout: int = 0, fill: float | Sequence[float] = 0.0
) -> Augmentation:
    """The usual augmentation for CIFAR: a random crop of the padded image, half of them flipped.

    Parameters
    ----------
    padding : int, default 4
        Pixels around the image; the crop has the image's own size.
    cutout : int, default 0
        Side of a square that is set to 0, the mean colour of normalised images, around a pixel
        drawn at random, what lies outside being lost (Cutout; 16 is usual on CIFAR-10); 0: none.
    fill : float or sequence of float, default 0
        What is padded with, one number or one a channel. Images padded before they are normalised
        have black there: ``data.train.inputs.amin((0, 2, 3)).tolist()``.

    Returns
    -------
    function of images (n, channels, height, width) and a ``torch.Generator``
        The same draws on every device, if the generator is one of the CPU.

    Notes
    -----
    Source of Cutout: DeVries and Taylor, arXiv 1708.04552.

    Examples
    --------
    >>> change = crop_and_flip(padding=1)
    >>> change(torch.ones(2, 3, 4, 4), torch.Generator().manual_seed(0)).shape
    torch.Size([2, 3, 4, 4])
    """
    colour = tuple(fill) if isinstance(fill, Sequence) else float(fill)
    return CropAndFlip(
        checked_whole("padding", padding, 0), checked_whole("cutout", cutout, 0), colour
    )
