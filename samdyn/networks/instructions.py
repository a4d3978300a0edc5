"""What a function's code says, apart from how it is written down; and what it names."""

from __future__ import annotations

import dis
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from types import CodeType, ModuleType
from typing import Any

_FORM = 0x2AC
"""Of a code's flags those that say how it is called: *args, **kwargs, generator, coroutine."""

_SILENT = frozenset({"CACHE", "EXTENDED_ARG", "NOP", "RESUME"})
_WRITTEN = frozenset({"__doc__", "__firstlineno__"})
_ATTRIBUTES = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_NAMES = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"})


def code_text(code: CodeType, constant: Callable[[Any], str | None]) -> str:
    """The instructions with what they are about: no docstrings, annotations, lines or files.

    Parameters
    ----------
    code : code
    constant : callable
        The text of a constant that is no code.
    """
    kept = [one for one in dis.get_instructions(code) if one.opname not in _SILENT]
    places = {one.offset: k for k, one in enumerate(kept)}
    jumps = {*dis.hasjrel, *dis.hasjabs}

    def place(offset: int) -> int:
        return next((places[at] for at in range(offset, len(code.co_code), 2) if at in places), -1)

    lines: list[str] = []
    for one in kept:
        if one.opname == "STORE_NAME" and one.argval in _WRITTEN:
            lines.pop()  # the docstring of a class within
            continue
        if isinstance(one.argval, CodeType):
            said: Any = code_text(one.argval, constant)
        elif one.opcode in jumps:
            said = place(one.argval)
        elif one.opcode in dis.hasconst:
            said = constant(one.argval)
        else:
            said = one.argval if isinstance(one.argval, str | tuple) else one.arg
        lines.append(f"{one.opname} {said}")
    names = code.co_argcount + code.co_kwonlyargcount + bin(code.co_flags & 0x0C).count("1")
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    head = counts, code.co_flags & _FORM, code.co_varnames[:names], code.co_exceptiontable.hex()
    return "\n".join([repr(head), *lines])


def named(code: CodeType, known: Mapping[str, Any]) -> dict[str, Any]:
    """What a code and the codes in it name of what is known; of a module, what is taken from it."""
    return dict(sorted(_named(code, known)))


def _named(code: CodeType, known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    path, value = "", None  # of the module that the last instruction named
    for one in dis.get_instructions(code):
        if one.opname in _SILENT:
            continue
        if path and one.opname in _ATTRIBUTES:
            with suppress(Exception):  # it may be imported only now, and not be there
                path, value = f"{path}.{one.argval}", getattr(value, one.argval)
        elif path:
            yield path, value
            path = ""
        if one.opname in _NAMES and one.argval in known and not one.argval.startswith("__"):
            path, value = one.argval, known[one.argval]
        if path and not isinstance(value, ModuleType):
            yield path, value
            path = ""
        if isinstance(one.argval, CodeType):
            yield from _named(one.argval, known)
