"""Arithmetic, safe and bounded: an expression is read as Python's grammar and walked by hand."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping

MAX_CHARS = 200
"""Characters of an expression."""

MAX_BITS = 4096
"""Bits of any whole number on the way, about 1,230 digits."""

Number = int | float

FUNCTIONS: Mapping[str, Callable[..., Number]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "exp": math.exp,
    "floor": math.floor,
    "ln": math.log,
    "log": math.log,
    "log10": math.log10,
    "max": max,
    "min": min,
    "round": round,
    "sin": math.sin,
    "sqrt": math.sqrt,
    "tan": math.tan,
}
CONSTANTS: Mapping[str, Number] = {"pi": math.pi, "e": math.e}

_BINARY: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_SPELLINGS = {"\u00d7": "*", "\u00b7": "*", "\u00f7": "/", "\u2212": "-", "\u2013": "-", "^": "**"}
_SPELLED = str.maketrans(_SPELLINGS)

SIGNS = "-+*/%" + "".join(_SPELLINGS)
"""The signs that may stand between numbers: those of Python, and those of print."""


class CannotCalculate(ValueError):
    """The expression is no arithmetic, too large, or has no value."""


def parse(expression: str) -> ast.expr:
    """Read an expression; ``^`` is the power, and the signs of print are known.

    Raises:
        CannotCalculate: it is too long or no expression.
    """
    if len(expression) > MAX_CHARS:
        raise CannotCalculate(f"the expression is longer than {MAX_CHARS} characters")
    text = expression.translate(_SPELLED).strip()
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        tree = None
    if tree is None or isinstance(tree, ast.Tuple):
        raise CannotCalculate(f"{expression.strip()!r} is no arithmetic expression")
    return tree


def calculate(expression: str) -> str:
    """The expression's value as text: whole where it is whole, else 12 digits.

    Raises:
        CannotCalculate: it cannot be read, has no value (a division by zero), or is too large.
    """
    try:
        value = _value(parse(expression))
    except (ArithmeticError, TypeError, ValueError) as error:
        if isinstance(error, CannotCalculate):
            raise
        raise CannotCalculate(f"{expression.strip()!r} has no value: {error}") from None
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CannotCalculate("the result is too large")
        return f"{value:.12g}"
    return str(value)


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand)
        case ast.UnaryOp(op=ast.UAdd()):
            return _value(node.operand)
        case ast.BinOp() if type(node.op) in _BINARY:
            return _bounded(_binary(node.op, _value(node.left), _value(node.right)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _bounded(FUNCTIONS[name](*map(_value, args)))
    raise CannotCalculate(f"{ast.unparse(node)!r} is no arithmetic")


def _binary(op: ast.operator, left: Number, right: Number) -> Number:
    if isinstance(op, ast.Pow) and isinstance(left, int) and isinstance(right, int):
        # Bounded before it is worked out: 9**9**9 has 369 million digits.
        if (left.bit_length() - 1) * right > MAX_BITS:
            raise CannotCalculate("the result is too large")
    return _BINARY[type(op)](left, right)


def _bounded(value: Number) -> Number:
    if isinstance(value, complex):
        raise CannotCalculate("the result is not a real number")
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise CannotCalculate("the result is too large")
    return value
