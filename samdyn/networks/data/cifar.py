"""CIFAR-10 and CIFAR-100 from the archives that their authors publish."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from warnings import warn

import numpy as np
import torch

from samdyn.networks.data.data import Data, with_label_noise
from samdyn.networks.data.pickles import plain
from samdyn.networks.problem import Samples

_CHUNK = 2000
"""So many images are in double precision at once."""

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"


@dataclass(frozen=True)
class _Archive:
    """What is published: the files with their checksums, those to test with last."""

    name: str
    packed: str
    folder: str
    labels: bytes
    classes: int
    train: dict[str, str]
    test: dict[str, str]


_CIFAR10 = _Archive(
    "cifar10",
    "cifar-10-python.tar.gz",
    "cifar-10-batches-py",
    b"labels",
    10,
    {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    },
    {"test_batch": "40351d587109b95175f43aff81a1287e"},
)
_CIFAR100 = _Archive(
    "cifar100",
    "cifar-100-python.tar.gz",
    "cifar-100-python",
    b"fine_labels",
    100,
    {"train": "16019d7e3df5f24257cddd939b257f8d"},
    {"test": "f0ef6b0ae62326f3e7ffdfab6717acfc"},
)


def cifar10(
    path: str | Path,
    normalise: bool = True,
    label_noise: float = 0.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """CIFAR-10: 32x32 colour images in 10 classes, 50,000 to train with and 10,000 to test.

    Nothing is downloaded: get ``cifar-10-python.tar.gz`` from
    https://www.cs.toronto.edu/~kriz/cifar.html.

    Parameters
    ----------
    path : str or Path
        That archive, its unpacked folder ``cifar-10-batches-py``, or the folder that holds one of
        them.
    normalise : bool, default True
        Whether each colour is shifted and scaled to mean 0 and standard deviation 1 over the
        training pixels; else pixels are from 0 to 1.
    label_noise : float, default 0
        The share of training labels that are drawn anew; see `with_label_noise`.
    seed : int, default 0
        Of the label noise.
    dtype : torch.dtype, default torch.float32

    Returns
    -------
    Data
        Inputs (n, 3, 32, 32).

    Raises
    ------
    FileNotFoundError
        If the archive is not there.
    ValueError
        If a file is broken or holds anything but plain data, which is never run.

    Warns
    -----
    UserWarning
        If a file is not the published one, by its MD5 checksum.

    Notes
    -----
    Source: Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    """
    return with_label_noise(_read(_CIFAR10, Path(path), normalise, dtype), label_noise, seed)


def cifar100(
    path: str | Path,
    normalise: bool = True,
    label_noise: float = 0.0,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Data:
    """CIFAR-100: as `cifar10`, in 100 classes.

    Parameters
    ----------
    path : str or Path
        ``cifar-100-python.tar.gz``, its unpacked folder ``cifar-100-python``, or the folder that
        holds one of them.
    normalise, label_noise, seed, dtype
        As for `cifar10`, which tells of errors and warnings too.

    Returns
    -------
    Data
        Inputs (n, 3, 32, 32); the classes are the 100 fine ones.
    """
    return with_label_noise(_read(_CIFAR100, Path(path), normalise, dtype), label_noise, seed)


def _read(archive: _Archive, path: Path, normalise: bool, dtype: torch.dtype) -> Data:
    published = archive.train | archive.test
    pixels: dict[str, np.ndarray] = {}
    labels: dict[str, np.ndarray] = {}
    strange = []
    for name, content in _contents(archive, path):
        if md5(content, usedforsecurity=False).hexdigest() != published[name]:
            strange.append(name)
        pixels[name], labels[name] = _batch(archive, name, content)
    if missing := published.keys() - pixels:
        raise FileNotFoundError(f"{path} must have {archive.folder}/{min(missing)}, which it lacks")
    if strange:
        warn(
            f"{', '.join(sorted(strange))} at {path} is not what {PAGE} publishes as "
            f"{archive.packed} (other MD5 checksum), so results don't compare with others'",
            stacklevel=3,
        )
    shift, scale = _colours([pixels[name] for name in archive.train]) if normalise else (0.0, 255.0)

    def samples(names: dict[str, str]) -> Samples:
        stored = [pixels[name] for name in names]
        images = torch.empty(sum(map(len, stored)), 3, 32, 32, dtype=dtype)
        chunks = [batch[k : k + _CHUNK] for batch in stored for k in range(0, len(batch), _CHUNK)]
        places = images.split([len(chunk) for chunk in chunks])
        for place, chunk in zip(places, chunks, strict=True):
            place.copy_(torch.from_numpy((chunk.astype(np.float64) - shift) / scale))
        return Samples(images, torch.from_numpy(np.concatenate([labels[name] for name in names])))

    return Data(samples(archive.train), samples(archive.test), archive.name, archive.classes)


def _contents(archive: _Archive, path: Path) -> Iterator[tuple[str, bytes]]:
    """The published files' names and bytes; archives are read and never unpacked to disk."""
    names = archive.train | archive.test
    for place in (path, path / archive.folder, path / archive.packed):
        if place.is_dir() and any((place / name).is_file() for name in names):
            there = [name for name in names if (place / name).is_file()]
            yield from ((name, (place / name).read_bytes()) for name in there)
            return
        if place.is_file():
            wanted = {f"{archive.folder}/{name}": name for name in names}
            try:
                with tarfile.open(place) as packed:
                    for member in packed:
                        file = packed.extractfile(member) if member.name in wanted else None
                        if file is not None:
                            yield wanted[member.name], file.read()
            except (tarfile.TarError, EOFError, OSError) as error:
                raise ValueError(f"{place} can't be read as {archive.packed}: {error}") from error
            return
    raise FileNotFoundError(
        f"path must be {archive.packed}, its unpacked folder {archive.folder} or the folder that "
        f"holds one of them, and {path} is none; samdyn downloads nothing: get the archive from "
        f"{PAGE} and put it there"
    )


def _batch(archive: _Archive, name: str, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) and labels (n,) of one file."""
    try:
        found = plain(content)
        images = np.asarray(found[b"data"]).reshape(-1, 3, 32, 32)
        labels = np.asarray(found[archive.labels], dtype=np.int64)
    except KeyError as error:
        raise ValueError(f"{name} is no file of {archive.packed}: it has no {error}") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{name} is no file of {archive.packed}: {error}") from error
    if images.dtype != np.uint8 or labels.shape != (len(images),) or not len(images):
        raise ValueError(
            f"{name} is no file of {archive.packed}: it has data of shape {images.shape} and "
            f"{labels.size} labels"
        )
    if labels.min() < 0 or labels.max() >= archive.classes:
        raise ValueError(
            f"{name} must have labels from 0 to {archive.classes - 1}, it has {labels.max()}"
        )
    return images, labels


def _colours(batches: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each colour, from exact counts of the 256 values."""
    counts = np.array(
        [
            sum(np.bincount(images[:, colour].ravel(), minlength=256) for images in batches)
            for colour in range(3)
        ]
    )
    weights, values = counts / counts.sum(axis=1, keepdims=True), np.arange(256)
    mean = weights @ values
    spread = np.sqrt((weights * (values - mean[:, None]) ** 2).sum(axis=1))
    spread[spread == 0] = 1.0  # one colour all over
    return mean[:, None, None], spread[:, None, None]
