"""What functions, algorithms and modules do, as short texts that are alike in every process.

A name does not say what a function does: its body may have changed since yesterday. Here a
function is its instructions, and all that they use: defaults, closures, globals and functions of
the user's. Comments, docstrings, annotations, lines and files do not matter. Libraries are known
by their versions; samdyn itself and Python's own modules by the names of what is used.
"""

from __future__ import annotations

import sys
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, partial
from pathlib import Path
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any

from torch import nn

from samdyn.algorithms import Algorithm, Written
from samdyn.networks.instructions import code_text, named
from samdyn.networks.plain import digest, fingerprint, plain, shortened, tensor_text

__all__ = ["Parts", "Reader", "definitions", "fingerprint"]

Parts = dict[str, str]
"""What something is made of, by name, such as {"loss": "code 5d1f…", "loss.alpha": "0.5"}."""

_DEEPEST = 30

_NOT_DONE = frozenset(
    "__doc__ __module__ __qualname__ __dict__ __weakref__ __annotations__ __slots__ __repr__ "  # noqa: SIM905
    "__str__ __eq__ __hash__ __match_args__ __dataclass_fields__ __dataclass_params__ extra_repr "
    "__parameters__ __orig_bases__ __abstractmethods__ _abc_impl __firstlineno__ "
    "__static_attributes__ __annotate__ __annotate_func__ __annotations_cache__".split()
)
"""What stands in a class and does not say what its instances do."""

_OF_MODULES = frozenset(
    "_parameters _buffers _modules training _forward_hooks_with_kwargs "  # noqa: SIM905
    "_forward_hooks_always_called _forward_pre_hooks_with_kwargs".split()
)
"""What torch keeps in a module that is looked at otherwise, or set by who uses it."""


def definitions(
    model: nn.Module, algorithms: Sequence[Algorithm], functions: Mapping[str, Callable | None]
) -> dict[str, Parts]:
    """What a training is made of, by its part in it.

    Parameters
    ----------
    model : Module
        As it is before it is trained; its weights do not matter, but for those that are fixed.
    algorithms : sequence of Algorithm
        Of the phases. Their numbers do not matter.
    functions : mapping from str to callable or None

    Examples
    --------
    >>> found = definitions(nn.Linear(2, 1), [], {"loss": nn.CrossEntropyLoss()})
    >>> found["model"]["model.weight"], found["loss"]["loss.label_smoothing"]
    ('(1, 2)', '0.0')
    """
    several = len(algorithms) > 1
    found = {"model": Reader(model).of_model("model", model)}
    for k, one in enumerate(algorithms):
        name = f"algorithm of phase {k}" if several else "algorithm"
        found[name] = Reader(model).of_algorithm("step", one)
    for name, function in functions.items():
        if function is not None:
            found[name] = Reader(model).of(name.split()[-1], function)
    return found


class Reader:
    """Reads one thing and all that it uses. What cannot be read stands by its type alone."""

    def __init__(self, trained: nn.Module | None = None):
        self._trained = trained  # whose own weights do not matter: training begins elsewhere
        self.parts: Parts = {}
        self._seen: dict[int, tuple[str, Any]] = {}  # held, so that no id is used twice
        self._classes: dict[type, str] = {}

    def of(self, path: str, thing: Any) -> Parts:
        """The parts of anything."""
        self._read(path, thing)
        return self.parts

    def of_algorithm(self, path: str, algorithm: Algorithm) -> Parts:
        """Those of an algorithm without its numbers."""
        if isinstance(algorithm, Written):
            return self.of(path, algorithm.definition)
        numbers, library = algorithm.numbers, _library(type(algorithm).__module__)
        self._class(path, type(algorithm))
        for name, value in sorted(vars(algorithm).items()):
            if isinstance(value, Algorithm):
                self.of_algorithm(f"{path}.{name}", value)
            elif name not in numbers:
                self._read(f"{path}.{name}", value, library)
        return self.parts

    def of_model(self, path: str, model: nn.Module, weights: bool = False) -> Parts:
        """Those of a module and the modules in it; its weights where they are not trained."""
        for within, module in model.named_modules():
            name = f"{path}.{within}".rstrip(".")
            library = _library(type(module).__module__)
            if library:
                self.parts[name] = f"{type(module).__module__}.{type(module).__qualname__}"
            else:
                self._class(name, type(module))
            for entry, value in sorted(vars(module).items()):
                if entry.endswith("_hooks") and isinstance(value, dict):
                    for k, hook in enumerate(value.values()):  # its keys count all hooks ever made
                        self._read(f"{name}.{entry}[{k}]", hook)
                elif entry not in _OF_MODULES and not (library and entry.startswith("_")):
                    self._read(f"{name}.{entry}", value, library)
            for entry, p in module.named_parameters(recurse=False):
                known = weights or not p.requires_grad
                self.parts[f"{name}.{entry}"] = tensor_text(p) if known else f"{tuple(p.shape)}"
            for entry, b in module.named_buffers(recurse=False):
                self.parts[f"{name}.{entry}"] = tensor_text(b) if weights else f"{tuple(b.shape)}"
        return self.parts

    def _read(self, path: str, x: Any, inner: bool = False) -> None:
        """``inner``: it belongs to a library, of whose own things only the types are read."""
        text = plain(x)
        if text is not None or path.count(".") > _DEEPEST:
            self.parts[path] = shortened(text) if text is not None else _kind(type(x))
            return
        if id(x) in self._seen:
            known = self._seen[id(x)][0]
            if known != path:
                self.parts[path] = f"as {known}"
            return
        self._seen[id(x)] = (path, x)
        match x:
            case FunctionType():
                self._function(path, x)
            case type() if _library(x.__module__):
                self.parts[path] = _kind(x)
            case type():
                self._class(path, x)
            case MethodType():
                self._read(path, x.__func__, inner)
                self._read(f"{path}.self", x.__self__, inner)
            case ModuleType():
                self.parts[path] = _kind(x)
            case BuiltinFunctionType():
                self.parts[path] = _kind(x)
                if not isinstance(x.__self__, ModuleType | None):
                    self._read(f"{path}.self", x.__self__, inner)
            case partial():
                self._read(path, x.func, inner)
                self._read(f"{path}.args", x.args, inner)
                self._read(f"{path}.keywords", x.keywords, inner)
            case property():
                for name in ("fget", "fset"):
                    self._read(f"{path}.{name}", getattr(x, name), inner)
            case staticmethod() | classmethod():
                self._read(path, x.__func__, inner)
            case cached_property():
                self._read(path, x.func, inner)
            case dict():
                self._container(path, type(x))
                for k, (key, value) in enumerate(x.items()):
                    said = plain(key)
                    self._read(f"{path}[{k if said is None else said}]", value, inner)
            case list() | tuple():
                self._container(path, type(x))
                for k, value in enumerate(x):
                    self._read(f"{path}[{k}]", value, inner)
            case nn.Module():
                self.of_model(path, x, weights=x is not self._trained)
            case _:
                self._instance(path, x, inner)

    def _function(self, path: str, function: Any) -> None:
        wrapped = vars(function).get("__wrapped__")
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        closure = {}
        for name, cell in cells:
            with suppress(ValueError):  # a cell that is not filled yet
                closure[name] = cell.cell_contents
        if _library(function.__globals__.get("__name__")):
            self.parts[path] = _kind(function, function.__globals__["__name__"])
            # what a decorator such as torch.no_grad() goes around
            if wrapped is None:
                inside = closure
            else:
                settings = {k: v for k, v in closure.items() if plain(v) is not None}
                inside = settings | {"wrapped": wrapped}
            for name, value in inside.items():
                self._read(f"{path}.{name}", value, inner=True)
            return
        self.parts["python"] = "{}.{}".format(*sys.version_info)
        self.parts[path] = f"code {digest(code_text(function.__code__, plain))}"
        arguments = function.__code__.co_varnames[: function.__code__.co_argcount]
        defaults = function.__defaults__ or ()
        given = dict(zip(arguments[len(arguments) - len(defaults) :], defaults, strict=True))
        used = named(function.__code__, ChainMap(closure, function.__globals__))
        own = {f"its {name}": value for name, value in vars(function).items()}
        for each in (given, function.__kwdefaults__ or {}, own, closure, used):
            for name, value in each.items():
                self._read(f"{path}.{name}", value)

    def _class(self, path: str, cls: type) -> None:
        known = self._classes.setdefault(cls, path)
        if known != path:
            self.parts[path] = f"as {known}"
            return
        for one in cls.__mro__:
            name = path if one is cls else f"{path}.{one.__name__}"
            if _library(one.__module__):
                self.parts.setdefault(path, f"{one.__module__}.{one.__qualname__}")
            elif self._classes.setdefault(one, name) == name:
                for entry, value in sorted(vars(one).items()):
                    if entry not in _NOT_DONE:
                        self._read(f"{name}.{entry}", value)

    def _instance(self, path: str, x: Any, inner: bool) -> None:
        cls = type(x)
        library = _library(cls.__module__) and not isinstance(x, SimpleNamespace)
        title = getattr(x, "__name__", "")  # such as a ufunc's
        self.parts[path] = f"{_kind(cls)} {title}".strip() if library else "an instance"
        if inner and library:
            return
        if not library:
            self._class(path, cls)
        if callable(getattr(x, "__wrapped__", None)):  # such as functools.cache
            self._read(f"{path}.wrapped", x.__wrapped__)
        for name, value in sorted(_attributes(x)):
            if not (library and name.startswith("_")):
                self._read(f"{path}.{name}", value, library)

    def _container(self, path: str, cls: type) -> None:
        self.parts[path] = cls.__name__
        if not _library(cls.__module__):  # such as a NamedTuple
            self._class(f"{path}.{cls.__name__}", cls)


def _attributes(x: Any) -> Iterator[tuple[str, Any]]:
    yield from getattr(x, "__dict__", {}).items()
    for cls in type(x).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if not name.startswith("__"):
                with suppress(AttributeError):  # it was never set
                    yield name, getattr(x, name)


def _library(module: str | None) -> bool:
    """Whether a module is of Python, of samdyn or installed: not the user's own."""
    top = (module or "__main__").partition(".")[0]
    if top == "samdyn" or top in sys.stdlib_module_names:
        return True
    if top == "__main__":  # of python -m pdb, say, it is what is debugged
        return False
    spec = getattr(sys.modules.get(top), "__spec__", None)
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    return any({"site-packages", "dist-packages"} & {*Path(p).parts} for p in places if p)


def _kind(thing: Any, module: str | None = None) -> str:
    """A qualified name, and the version of the library it is from."""
    module = module or getattr(thing, "__module__", None) or ""
    name = getattr(thing, "__qualname__", None)
    whole = thing.__name__ if name is None else f"{module}.{name}".lstrip(".")
    top = whole.partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", None) if _library(top) else None
    return whole if version is None or top == "samdyn" else f"{whole} of {top} {version}"
