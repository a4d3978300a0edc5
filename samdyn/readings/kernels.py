"""Compiled kernels, kept on disk by the hash of their source.

A kernel's module is written to the user's cache folder under a name made from its source and the
versions of samdyn and Numba, and loaded from there, so that Numba's own disk cache finds the
machine code again: a loss and an algorithm compile once on a machine.

The folder is ``SAMDYN_CACHE_DIR`` if that is set, else the system's place for user caches.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numba
import platformdirs

from samdyn.version import VERSION

_SLOW = 1.0
_DATE = 1_000_000_000
_loaded: dict[str, Callable] = {}
_told: set[Path] = set()
_lock = threading.RLock()


class CachedKernel(NamedTuple):
    """A kernel in the cache folder."""

    key: str
    title: str
    path: Path
    bytes: int
    modified: float


def folder() -> Path:
    """Where kernels are kept."""
    chosen = os.environ.get("SAMDYN_CACHE_DIR")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("samdyn")) / "kernels"


def key(source: str) -> str:
    """The name of a kernel: a hash of its source and of what compiles it."""
    text = "\n".join((VERSION, numba.__version__, _code(source)))
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _code(source: str) -> str:
    """A source without its title: two losses of one formula share a kernel."""
    return source.split("\n", 1)[-1]


def load(source: str) -> Callable:
    """The compiled ``advance`` of a kernel's source: from memory, from disk, or compiled now."""
    name = key(source)
    with _lock:
        if name not in _loaded:
            with _patience(), _undisturbed():
                _loaded[name] = _import(name, source).advance
        return _loaded[name]


def listed() -> list[CachedKernel]:
    """What the cache folder holds, newest first."""
    kernels = []
    for path in folder().glob("kernel_*.py"):
        title = path.read_text(encoding="utf-8").split("\n", 1)[0].strip('"')
        binaries = list((path.parent / "__pycache__").glob(path.stem + ".*"))
        stats = [file.stat() for file in (path, *binaries)]
        size, modified = sum(s.st_size for s in stats), max(s.st_mtime for s in stats)
        name = path.stem.removeprefix("kernel_")
        kernels.append(CachedKernel(name, title, path, size, modified))
    return sorted(kernels, key=lambda kernel: -kernel.modified)


def clear() -> int:
    """Remove every kernel from the cache folder; return how many there were."""
    kernels = listed()
    for kernel in kernels:
        for file in (kernel.path.parent / "__pycache__").glob(kernel.path.stem + ".*"):
            file.unlink(missing_ok=True)
        kernel.path.unlink(missing_ok=True)
    return len(kernels)


def _import(name: str, source: str) -> ModuleType:
    try:
        path = _place(name, source)
        return _run(name, path, source.replace("cache=CACHE", "cache=True"))
    except OSError as error:
        if folder() not in _told:
            _told.add(folder())
            warnings.warn(
                f"samdyn cannot keep compiled kernels in {folder()} ({error}); every process will "
                "compile again. Set SAMDYN_CACHE_DIR to a folder that can be written.",
                RuntimeWarning,
                stacklevel=4,
            )
        return _run(name, None, source.replace("cache=CACHE", "cache=False"))


def _place(name: str, source: str) -> Path:
    """Write the module where it belongs, whole or not at all, unless it is there."""
    target = folder() / f"kernel_{name}.py"
    text = source.replace("cache=CACHE", "cache=True")
    if not (target.exists() and _code(target.read_text(encoding="utf-8")) == _code(text)):
        target.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            # Numba takes another date for another source: two processes must write the same one
            os.utime(temporary, (_DATE, _DATE))
            os.replace(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)
    # Numba writes beside the module: find out now whether it may
    with tempfile.TemporaryFile(dir=target.parent):
        pass
    return target


def _run(name: str, path: Path | None, text: str) -> ModuleType:
    module_name = f"samdyn_kernel_{name}"
    if path is None:
        module = ModuleType(module_name)
        exec(compile(text, f"<{module_name}>", "exec"), module.__dict__)
        return module
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # Numba pickles its index by module name
    spec.loader.exec_module(module)
    return module


@contextmanager
def _patience() -> Iterator[None]:
    """Say that compilation is under way if it takes more than a second."""
    message = (
        "samdyn: compiling a kernel, once on this machine for this loss, algorithm and events; "
        "some seconds to half a minute …"
    )
    timer = threading.Timer(_SLOW, lambda: print(message, file=sys.stderr, flush=True))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hear Ctrl-C only afterwards: Numba is not usable any more if compilation is broken off."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = []
    before = signal.signal(signal.SIGINT, lambda *_: heard.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if heard:
        raise KeyboardInterrupt
