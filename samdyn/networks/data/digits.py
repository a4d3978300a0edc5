"""Handwritten digits that come with scikit-learn."""

from __future__ import annotations

import torch

from samdyn.networks.data.data import Data, with_label_noise
from samdyn.networks.problem import Samples


def digits(
    label_noise: float = 0.0,
    seed: int = 0,
    image: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """Images of 8x8 pixels in 10 classes: 1,257 to train with and 540 to test.

    The split is always the same one, with every class in both parts by its share. Pixels are
    from 0 to 1.

    Parameters
    ----------
    label_noise : float, default 0
        The share of training labels that are drawn anew from all classes; `with_label_noise`
        tells how.
    seed : int, default 0
        Of the label noise; nothing else is random.
    image : bool, default False
        Inputs of shape (n, 1, 8, 8) for a convolutional network, not (n, 64).
    dtype : torch.dtype, default torch.float32

    Raises
    ------
    ImportError
        Without scikit-learn.

    Notes
    -----
    Source: scikit-learn's ``load_digits``, the test part of the UCI data set "Optical
    recognition of handwritten digits" (Alpaydin and Kaynak, 1998). Nothing is downloaded.

    Examples
    --------
    >>> data = digits(label_noise=0.2)
    >>> data.train.inputs.shape, data.test.targets.shape
    (torch.Size([1257, 64]), torch.Size([540]))
    """
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise ImportError(
            'digits come with scikit-learn, which is missing; pip install "samdyn[torch]"'
        ) from None

    pixels, labels = load_digits(return_X_y=True)
    split = train_test_split(pixels, labels, test_size=540, random_state=0, stratify=labels)
    x_train, x_test = (torch.from_numpy(part / 16).to(dtype) for part in split[:2])
    y_train, y_test = (torch.from_numpy(part).long() for part in split[2:])
    if image:
        x_train, x_test = (x.reshape(-1, 1, 8, 8) for x in (x_train, x_test))
    clean = Data(Samples(x_train, y_train), Samples(x_test, y_test), "digits", classes=10)
    return with_label_noise(clean, label_noise, seed)
