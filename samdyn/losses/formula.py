"""Formulas: text to SymPy by a whitelist. Nothing of the text is ever run by Python."""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from functools import lru_cache

import numpy as np
import sympy
from sympy.printing.str import StrPrinter

from samdyn.symbols import evaluate, symbols

_LONGEST = 200_000
_MOST_FACTORS = 100
_MOST_CHOICES = 16
_MOST_COMPARED = 256
_MOST_WITHIN = 5
_LARGEST_EXPONENT = 64
_LARGEST_NESTED = 64**2
_MOST_BITS = 2**15
_MOST_DIGITS = 40
_LARGEST = 1e300
_NOT_NUMBERS = (sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I)

FUNCTIONS = {
    "exp": sympy.exp,
    "log": sympy.log,
    "sqrt": sympy.sqrt,
    "abs": sympy.Abs,
    "sign": sympy.sign,
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": sympy.tan,
    "asin": sympy.asin,
    "acos": sympy.acos,
    "atan": sympy.atan,
    "sinh": sympy.sinh,
    "cosh": sympy.cosh,
    "tanh": sympy.tanh,
    "erf": sympy.erf,
    "min": sympy.Min,
    "max": sympy.Max,
}
"""The functions a formula may use, by the name it calls them."""

CONSTANTS = {"pi": sympy.pi}

_JOINING = ("and", "or", "not")
_COMPARISONS = {
    ast.Lt: sympy.StrictLessThan,
    ast.LtE: sympy.LessThan,
    ast.Gt: sympy.StrictGreaterThan,
    ast.GtE: sympy.GreaterThan,
}


class FormulaError(ValueError):
    """A formula that cannot be read; the message says where and what would be right."""


def parse(text: str) -> sympy.Expr:
    """Read a formula such as ``"x**2/2 - y**2/2"``.

    Numbers are taken exactly as written (0.1 is 1/10). Names that are neither a function nor
    ``pi`` become real symbols.

    Raises
    ------
    FormulaError
        If the text is not a formula of numbers, names, ``+ - * / **``, parentheses and the
        functions in ``FUNCTIONS``.
    """
    value = _read(text)
    if not isinstance(value, sympy.Expr):
        raise FormulaError(f"formula {text!r} is a condition; a number is needed here")
    return value


def parse_condition(text: str) -> sympy.Basic:
    """Read a condition such as ``"x > 0.8 and y**2 < 1"``; see `parse`."""
    value = _read(text)
    if isinstance(value, sympy.Expr):
        raise FormulaError(f"condition {text!r} has no comparison; write for example 'x > 0.8'")
    return value


class _Writer(StrPrinter):
    """SymPy's text with the names that `parse` knows."""

    def _print_Abs(self, expression: sympy.Abs) -> str:
        return f"abs({self._print(expression.args[0])})"

    def _print_Min(self, expression: sympy.Min) -> str:
        return f"min({self.stringify(expression.args, ', ')})"

    def _print_Max(self, expression: sympy.Max) -> str:
        return f"max({self.stringify(expression.args, ', ')})"

    def _print_Exp1(self, expression: sympy.Expr) -> str:
        return "exp(1)"


def written(expression: sympy.Basic) -> str:
    """An expression as text that `parse` reads again (conditions inside it have none)."""
    return _Writer().doprint(expression)


def check_name(name: str) -> str:
    """Return a variable's or a constant's name, or say why it cannot be one."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z_0-9]*", name):
        raise FormulaError(
            f"name {name!r} must be letters, digits and _, all ASCII, not starting with a digit"
        )
    if name in FUNCTIONS or name in CONSTANTS or keyword.iskeyword(name):
        raise FormulaError(
            f"name {name!r} is taken by a function, by pi or by Python; choose another"
        )
    return name


def _read(text: str) -> sympy.Basic:
    if not isinstance(text, str) or not text.strip():
        raise FormulaError(f"formula must be a non-empty text such as 'x**2 - y**2', got {text!r}")
    if len(text) > _LONGEST:
        raise FormulaError(f"formula has {len(text)} characters; at most {_LONGEST} are read")
    if "^" in text:
        raise FormulaError(f"formula {text!r} uses ^; powers are written **")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SyntaxWarning)  # "1and x"
            warnings.simplefilter("error", DeprecationWarning)
            tree = ast.parse(text.strip(), mode="eval")
        _check_work(tree)
        return _finite(_convert(tree.body, text), text)
    except SyntaxError as error:
        raise FormulaError(
            f"formula {text!r} does not parse at character {error.offset}: {error.msg}{_hint(text)}"
        ) from None
    except (RecursionError, MemoryError):
        raise FormulaError("formula is nested too deeply; split it up") from None
    except ValueError as error:
        if isinstance(error, FormulaError):
            raise
        raise FormulaError(f"formula {text!r} does not parse: {error}") from None


def _check_work(tree: ast.AST) -> None:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    count = sum(
        len(call.args) for call in calls if getattr(call.func, "id", None) in ("min", "max")
    )
    if count > _MOST_COMPARED:
        raise FormulaError(
            f"formula has {count} numbers in min and max; at most {_MOST_COMPARED} are read"
        )


def _hint(text: str) -> str:
    """What a formula that Python cannot parse may have meant."""
    words = re.findall(r"[^\W\d]\w*", text)
    taken = [word for word in words if keyword.iskeyword(word) and word not in _JOINING]
    if taken:
        return f"; {taken[0]} is a word of Python and no name, choose another"
    text = re.sub(r"\b(and|or|not)\b", "<", text)
    product = re.search(r"(?<![\w.])(\d+(?:\.\d*)?)\s*(?![eE][-+\d])([^\W\d]\w*)", text)
    if product:
        return f"; for a product write {product[1]}*{product[2]}"
    beside = re.search(r"[\w)]\s+[\w(]", text)
    return "; where a product is meant write *" if beside else ""


def _convert(node: ast.AST, text: str) -> sympy.Basic:
    value = _read_node(node, text)
    if value.is_number:
        _bounded(value, text)  # before anything is made of it: exp(exp(exp(9))) has no digits
    return value


def _read_node(node: ast.AST, text: str) -> sympy.Basic:
    if isinstance(node, ast.Constant):
        return _number(node, text)
    if isinstance(node, ast.Name):
        if node.id in FUNCTIONS:
            raise FormulaError(f"formula {text!r}: {node.id} is a function; write {node.id}(…)")
        return CONSTANTS.get(node.id) or symbols([check_name(node.id)])[0]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _expression(node.operand, text)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        terms = _chain(node, (ast.Add, ast.Sub), text)
        return sympy.Add(*(-term if op is ast.Sub else term for op, term in terms))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        return _product(_chain(node, (ast.Mult, ast.Div), text), text)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        return _power(_expression(node.left, text), _expression(node.right, text), text)
    if isinstance(node, ast.Call):
        return _call(node, text)
    if isinstance(node, ast.Compare):
        return _compare(node, text)
    if isinstance(node, ast.BoolOp):
        join = sympy.And if isinstance(node.op, ast.And) else sympy.Or
        return join(*(_condition(value, text) for value in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return sympy.Not(_condition(node.operand, text))
    allowed = "numbers, names, + - * / **, parentheses, comparisons and the functions "
    raise FormulaError(
        f"formula {text!r} contains {ast.unparse(node)!r}; allowed are {allowed}"
        + ", ".join(FUNCTIONS)
    )


def _chain(
    node: ast.expr, kinds: tuple[type, type], text: str
) -> list[tuple[type | None, sympy.Expr]]:
    """The parts of ``a + b - c``, each with the operator before it.

    Python nests such a chain to the left, once for each part; a loop does not mind how deep.
    """
    parts: list[tuple[type | None, ast.expr]] = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, kinds):
        parts.append((type(node.op), node.right))
        node = node.left
    parts.append((None, node))
    return [(operator, _expression(part, text)) for operator, part in reversed(parts)]


def _product(factors: list[tuple[type | None, sympy.Expr]], text: str) -> sympy.Expr:
    if len(factors) > _MOST_FACTORS:
        raise FormulaError(
            f"formula has a product of {len(factors)} factors; at most {_MOST_FACTORS} are read, "
            "so group them with parentheses"
        )
    value = factors[0][1]
    for operator, factor in factors[1:]:  # in turn: SymPy writes 2*(x + y) out, but not 2*z*(x + y)
        value = value / factor if operator is ast.Div else value * factor
        if value.is_number:
            _bounded(value, text)
    return value


def _expression(node: ast.AST, text: str) -> sympy.Expr:
    value = _convert(node, text)
    if not isinstance(value, sympy.Expr):
        raise FormulaError(f"formula {text!r}: {ast.unparse(node)!r} is a condition, not a number")
    return value


def _condition(node: ast.AST, text: str) -> sympy.Basic:
    value = _convert(node, text)
    if isinstance(value, sympy.Expr):
        raise FormulaError(f"formula {text!r}: {ast.unparse(node)!r} is a number, not a condition")
    return value


def _number(node: ast.Constant, text: str) -> sympy.Expr:
    if isinstance(node.value, bool) or not isinstance(node.value, int | float):
        raise FormulaError(f"formula {text!r} contains {node.value!r}, which is no real number")
    line = _lines(text)[node.lineno - 1]
    written = line[node.col_offset : node.end_col_offset].decode()
    # 1e-999999999 is short, but has a billion digits as a fraction
    tiny = node.value < 1 / _LARGEST and re.search("[1-9]", re.split("[eE]", written)[0])
    if len(written) > _MOST_DIGITS or node.value > _LARGEST or tiny:
        raise FormulaError(
            f"formula {text!r}: the number {written[:20]} is too long, too large or too small"
        )
    if isinstance(node.value, int):
        return sympy.Integer(node.value)
    return sympy.Rational(written.replace("_", ""))


def _power(base: sympy.Expr, exponent: sympy.Expr, text: str) -> sympy.Expr:
    if exponent.is_number and not abs(float(evaluate(exponent, {}))) <= _LARGEST_EXPONENT:
        raise FormulaError(f"formula {text!r}: exponent {exponent} is beyond ±{_LARGEST_EXPONENT}")
    times = abs(float(evaluate(exponent, {}))) if exponent.is_number else _LARGEST_EXPONENT
    bits, nested = _size(base)
    if bits * times > _MOST_BITS:  # SymPy raises the number in (3*x)**64 at once
        raise FormulaError(f"formula {text!r}: a power of a number this long is not read")
    if nested * times > _LARGEST_NESTED:
        raise FormulaError(
            f"formula {text!r}: powers of powers multiply to more than {_LARGEST_NESTED}; "
            "write a smaller exponent"
        )
    return base**exponent


def _size(base: sympy.Expr) -> tuple[float, float]:
    """The bits of the numbers among an expression's factors, and its largest exponent."""
    bits, largest = 0.0, 0.0
    for factor in sympy.Mul.make_args(base):
        root, exponent = factor.as_base_exp()
        times = abs(float(exponent)) if exponent.is_Rational else 1.0
        if root.is_Rational:
            bits += (root.p.bit_length() + root.q.bit_length()) * max(times, 1.0)
        elif exponent.is_Rational:
            largest = max(largest, times)
    return bits, largest


@lru_cache(maxsize=1)
def _lines(text: str) -> list[bytes]:
    """The lines as Python counts them; its columns are bytes."""
    return [line.encode() for line in re.split("\r\n|\r|\n", text.strip())]


def _call(node: ast.Call, text: str) -> sympy.Expr:
    name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if name not in FUNCTIONS:
        raise FormulaError(
            f"formula {text!r}: {name} is not a known function; known are {', '.join(FUNCTIONS)} "
            f"(a product is written {name}*(…))"
        )
    several = name in ("min", "max")
    if node.keywords or (len(node.args) < 2 if several else len(node.args) != 1):
        wanted = f"two or more numbers, as in {name}(x, 1)" if several else f"one, as in {name}(x)"
        raise FormulaError(f"formula {text!r}: {name} takes {wanted}")
    values = [_expression(argument, text) for argument in node.args]
    if several:
        _check_choices(name, values, text)
    return FUNCTIONS[name](*values)


def _check_choices(name: str, values: list[sympy.Expr], text: str) -> None:
    """SymPy compares every two arguments, and those of a min within a max as well."""
    count = sum(len(v.args) if isinstance(v, sympy.Min | sympy.Max) else 1 for v in values)
    if count > _MOST_CHOICES:
        raise FormulaError(
            f"formula {text!r}: {name} of {count} numbers is not read; at most "
            f"{_MOST_CHOICES} may stand in one {name}"
        )
    within = sum(len(value.atoms(sympy.Min, sympy.Max)) for value in values)
    if within > _MOST_WITHIN:  # each level of them takes SymPy three times as long
        raise FormulaError(
            f"formula {text!r}: a {name} with {within} min or max within it is not read; at most "
            f"{_MOST_WITHIN} are"
        )


def _compare(node: ast.Compare, text: str) -> sympy.Basic:
    sides = [_expression(side, text) for side in (node.left, *node.comparators)]
    parts = []
    for operation, left, right in zip(node.ops, sides, sides[1:], strict=False):
        if type(operation) not in _COMPARISONS:
            raise FormulaError(f"formula {text!r}: compare with <, <=, > or >=")
        parts.append(_COMPARISONS[type(operation)](left, right))
    return sympy.And(*parts)


def _bounded(value: sympy.Expr, text: str) -> None:
    if not value.has(*_NOT_NUMBERS):
        with np.errstate(all="ignore"):
            size = evaluate(value, {})
        if abs(size) <= _LARGEST:
            return
    shown = str(value) if len(str(value)) < _MOST_DIGITS else "a very large number"
    raise FormulaError(f"formula {text!r} is not a finite real number (it gives {shown})")


def _finite(value: sympy.Basic, text: str) -> sympy.Basic:
    for number in value.atoms(sympy.Number, *map(type, _NOT_NUMBERS)):
        _bounded(number, text)
    return value
