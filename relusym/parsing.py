"""Formulas typed by users, read by an allow-list grammar: tokens, a tree, and only then SymPy.

    condition   comparison, True, False, joined by `and` `or` `not` `&` `|` `~`
    expression  + - * / ** ^ over literals, pi, e, the variable x, parameters, and calls of known functions
    Piecewise   Piecewise((expression, condition), ...), the first true condition wins

Nothing typed is ever given to `eval` or `sympify`; limits hold before any arithmetic is done.
"""

from __future__ import annotations

import functools
import keyword
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation, Parameter, x
from relusym.deadline import within
from relusym.errors import InvalidActivation, Undecided

MAX_CHARACTERS = 2000
MAX_DEPTH = 50
MAX_INTEGER = 10**6
MAX_EXPONENT = 64
MAX_BITS = 4096

_FUNCTIONS: dict[str, tuple[Any, int | None]] = {
    "exp": (sympy.exp, 1),
    "log": (sympy.log, 1),
    "sqrt": (sympy.sqrt, 1),
    "erf": (sympy.erf, 1),
    "erfc": (sympy.erfc, 1),
    "sin": (sympy.sin, 1),
    "cos": (sympy.cos, 1),
    "tanh": (sympy.tanh, 1),
    "sinh": (sympy.sinh, 1),
    "cosh": (sympy.cosh, 1),
    "atan": (sympy.atan, 1),
    "abs": (sympy.Abs, 1),
    "sign": (sympy.sign, 1),
    "heaviside": (sympy.Heaviside, None),
    "max": (sympy.Max, None),
    "min": (sympy.Min, None),
}
"""Known functions by lower-case name (either case is read), with their number of arguments."""

_RELATIONS: dict[str, Any] = {
    "<": sympy.Lt,
    "<=": sympy.Le,
    ">": sympy.Gt,
    ">=": sympy.Ge,
    "==": sympy.Eq,
    "!=": sympy.Ne,
}
_CONNECTIVES = {"and": "and", "&": "and", "or": "or", "|": "or"}
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>\*\*|<=|>=|==|!=|[-+*/^(),<>&|~]))",
    re.ASCII,
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int


@dataclass(frozen=True)
class _Node:
    """`kind` is number, name, call, relation, and, or, not, truth, piecewise, or an operator."""

    kind: str
    parts: tuple[Any, ...]
    position: int


def parse(text: str, name: str = "f") -> Activation:
    """The activation that a formula in `x` describes; identifiers other than pi and e are real parameters.

    Decimals are exact (0.1 is 1/10). Raises `InvalidActivation` with the place marked for what is not in the
    grammar, and for more than 2,000 characters, 50 levels, integers beyond 10**6 and exponents beyond 64.
    """
    reader = _Reader(name, text)
    tree = reader.read()
    symbols: dict[str, Symbol] = {}
    try:
        expr = within(3.0, lambda: _build(tree, symbols))
    except (TypeError, ValueError, ZeroDivisionError, OverflowError) as failure:
        raise InvalidActivation(f"{name}: the formula {text!r} has no meaning: {failure}") from None
    except Undecided as reason:
        raise InvalidActivation(f"{name}: the formula {text!r} is too involved ({reason})") from None
    if any(max(abs(number.p), number.q).bit_length() > MAX_BITS for number in expr.atoms(sympy.Rational)):
        raise InvalidActivation(f"{name}: the formula multiplies out to numbers of more than {MAX_BITS} bits")
    if expr.has(sympy.I, sympy.nan, sympy.zoo, sympy.oo, -sympy.oo):
        raise InvalidActivation(
            f"{name}: the formula {text!r} has a part that is not a finite real number; "
            "look for a division by zero, or the root or logarithm of a negative number"
        )
    used = [symbol for symbol in symbols.values() if symbol in expr.free_symbols]
    return Activation(name, expr, parameters=tuple(Parameter(symbol) for symbol in used), source=text.strip())


class _Reader:
    """Recursive descent over one text."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text
        if len(text) > MAX_CHARACTERS:
            raise InvalidActivation(
                f"{name}: the formula has {len(text)} characters; at most {MAX_CHARACTERS} are read"
            )
        self.tokens = self._tokens()
        self.next = 0
        self.depth = 0

    def read(self) -> _Node:
        tree = self._sum()
        token = self._peek()
        if token.kind != "end":
            hint = "; write a product with *" if token.kind in ("name", "number") or token.text == "(" else ""
            raise self._error(f"unexpected {token.text!r}{hint}", token.position)
        return tree

    def _error(self, what: str, position: int) -> InvalidActivation:
        start = max(0, position - 50)
        line = re.sub(r"\s", " ", self.text[start : position + 30])
        return InvalidActivation(
            f"{self.name}: {what}\n    {line}\n    {' ' * (position - start)}^\n"
            f"known: x, pi, e, parameters, + - * / **, {', '.join(_FUNCTIONS)}, "
            "Piecewise((value, condition), ...)"
        )

    def _tokens(self) -> list[_Token]:
        tokens, position, end = [], 0, len(self.text.rstrip())
        while position < end:
            match = _TOKEN.match(self.text, position)
            if match is None:
                position += len(self.text[position:]) - len(self.text[position:].lstrip())
                raise self._error(f"unexpected character {self.text[position]!r}", position)
            kind = str(match.lastgroup)
            tokens.append(_Token(kind, match.group(kind), match.start(kind)))
            position = match.end()
        return [*tokens, _Token("end", "end of the formula", end)]

    def _peek(self) -> _Token:
        return self.tokens[self.next]

    def _take(self) -> _Token:
        token = self.tokens[self.next]
        self.next += token.kind != "end"
        return token

    def _accept(self, *texts: str) -> _Token | None:
        token = self._peek()
        return self._take() if token.kind != "end" and token.text in texts else None

    def _expect(self, text: str) -> None:
        if self._accept(text) is None:
            token = self._peek()
            raise self._error(f"expected {text!r}, found {token.text!r}", token.position)

    def _deeper(self, read: Callable[[], _Node]) -> _Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._error(f"nested deeper than {MAX_DEPTH} levels", self._peek().position)
        node = read()
        self.depth -= 1
        return node

    def _sum(self) -> _Node:
        return self._chain(self._product, "+", "-")

    def _product(self) -> _Node:
        return self._chain(self._factor, "*", "/")

    def _chain(self, read: Callable[[], _Node], *operators: str) -> _Node:
        node = read()
        while token := self._accept(*operators):
            node = _Node(token.text, (node, read()), token.position)
        return node

    def _factor(self) -> _Node:
        if token := self._accept("+", "-"):
            operand = self._deeper(self._factor)
            return operand if token.text == "+" else _Node("negative", (operand,), token.position)
        base = self._atom()
        token = self._accept("**", "^")
        if token is None:
            return base
        exponent = self._deeper(self._factor)
        size = self._constant(exponent)
        if size is not None and not abs(size) <= MAX_EXPONENT:
            raise self._error(f"exponents beyond {MAX_EXPONENT} are not read", exponent.position)
        power = _Node("**", (base, exponent), token.position)
        result = self._constant(power)
        vanishes = result == 0 and self._constant(base) != 0
        if vanishes or _nested_exponent(power) > MAX_EXPONENT**2 or (result is not None and not math.isfinite(result)):
            raise self._error("this power is too large or too small", token.position)
        return power

    def _atom(self) -> _Node:
        token = self._take()
        if token.kind == "number":
            return _Node("number", (self._number(token),), token.position)
        if token.text == "(":
            node = self._deeper(self._sum)
            self._expect(")")
            return node
        if token.kind == "name":
            return self._named(token)
        raise self._error(f"expected a value, found {token.text!r}", token.position)

    def _number(self, token: _Token) -> Fraction:
        digits, _, exponent = token.text.lower().partition("e")
        if len(digits) > MAX_EXPONENT or len(exponent) > 3 or abs(int(exponent or 0)) > MAX_EXPONENT:
            raise self._error(f"numbers of more than {MAX_EXPONENT} digits are not read", token.position)
        value = Fraction(token.text)
        if value > MAX_INTEGER:
            raise self._error(f"numbers beyond {MAX_INTEGER} are not read", token.position)
        return value

    def _named(self, token: _Token) -> _Node:
        called = self._peek().text == "(" and self._peek().kind == "sign"
        function = token.text.lower()
        if called and function == "piecewise":
            return self._deeper(lambda: self._piecewise(token))
        if called and function in _FUNCTIONS:
            return self._deeper(lambda: self._call(token))
        if called:
            hint = "; write a product with *" if token.text in ("x", "pi", "e") else ""
            raise self._error(f"{token.text!r} is no known function{hint}", token.position)
        if function in (*_FUNCTIONS, "piecewise"):
            raise self._error(f"{token.text} needs its arguments in parentheses", token.position)
        if token.text.startswith("_") or keyword.iskeyword(token.text) or len(token.text) > 40:
            raise self._error(f"{token.text!r} cannot be the name of a parameter", token.position)
        return _Node("name", (token.text,), token.position)

    def _call(self, token: _Token) -> _Node:
        self._expect("(")
        arguments = [self._sum()]
        while self._accept(","):
            arguments.append(self._sum())
        self._expect(")")
        function, wanted = _FUNCTIONS[token.text.lower()]
        if wanted is not None and len(arguments) != wanted:
            raise self._error(f"{token.text} takes {wanted} argument, not {len(arguments)}", token.position)
        if function is sympy.Heaviside and len(arguments) > 2:
            raise self._error("Heaviside takes an argument and, if wanted, its value at 0", token.position)
        node = _Node("call", (function, *arguments), token.position)
        if (size := self._constant(node)) is not None and not math.isfinite(size):
            raise self._error(f"the constant {token.text}(...) is too large", token.position)
        return node

    def _piecewise(self, token: _Token) -> _Node:
        self._expect("(")
        branches: list[tuple[_Node, _Node]] = []
        while not branches or self._accept(","):
            self._expect("(")
            value = self._sum()
            self._expect(",")
            branches.append((value, self._deeper(self._disjunction)))
            self._expect(")")
        self._expect(")")
        return _Node("piecewise", tuple(branches), token.position)

    def _disjunction(self) -> _Node:
        return self._joined(lambda: self._joined(self._negation, "and", "&"), "or", "|")

    def _joined(self, read: Callable[[], _Node], *words: str) -> _Node:
        node = read()
        while token := self._accept(*words):
            node = _Node(_CONNECTIVES[token.text], (node, read()), token.position)
        return node

    def _negation(self) -> _Node:
        if token := self._accept("not", "~"):
            return _Node("not", (self._deeper(self._negation),), token.position)
        if token := self._accept("True", "False"):
            return _Node("truth", (token.text == "True",), token.position)
        if self._peek().text == "(" and self._is_condition_ahead():
            self._take()
            node = self._deeper(self._disjunction)
            self._expect(")")
            return node
        return self._comparison()

    def _is_condition_ahead(self) -> bool:
        """Whether the parenthesis that opens here holds a comparison or a truth value at its own level."""
        level = 0
        for token in self.tokens[self.next :]:
            level += (token.text == "(") - (token.text == ")")
            if level == 0:
                return False
            inside = token.text in _RELATIONS or token.text in (*_CONNECTIVES, "not", "~", "True", "False")
            if level == 1 and inside:
                return True
            if inside and self._only_parentheses_before(token):
                return True
        return False

    def _only_parentheses_before(self, found: _Token) -> bool:
        """Whether only plain parentheses, no call, enclose the found token since the current one."""
        open_calls: list[bool] = []
        before = self.tokens[self.next - 1] if self.next else None
        for token in self.tokens[self.next :]:
            if token is found:
                return not any(open_calls)
            if token.text == "(":
                open_calls.append(before is not None and before.kind == "name" and before.text not in _CONNECTIVES)
            elif token.text == ")" and open_calls:
                open_calls.pop()
            before = token
        return False

    def _comparison(self) -> _Node:
        left = self._sum()
        links: list[_Node] = []
        while token := self._accept(*_RELATIONS):
            right = self._sum()
            links.append(_Node("relation", (_RELATIONS[token.text], left, right), token.position))
            left = right
        if not links:
            token = self._peek()
            raise self._error(f"expected a comparison such as x > 0, found {token.text!r}", token.position)
        return functools.reduce(lambda one, other: _Node("and", (one, other), other.position), links)

    def _constant(self, node: _Node) -> float | None:
        """The rough size of a constant subtree; infinity when it is too large to be computed; else None."""
        try:
            return _rough(node)
        except (OverflowError, ZeroDivisionError, ValueError):
            return math.inf


def _rough(node: _Node) -> float | None:
    if node.kind == "number":
        return float(node.parts[0])
    if node.kind == "name":
        return {"pi": math.pi, "e": math.e}.get(node.parts[0])
    if node.kind in ("piecewise", "truth", "relation", "and", "or", "not"):
        return None
    operands = node.parts[1:] if node.kind == "call" else node.parts
    values = [_rough(operand) for operand in operands]
    if any(value is None for value in values):
        return None
    if node.kind == "call":
        return _rough_call(node.parts[0], [value for value in values if value is not None])
    return float(_ARITHMETIC[node.kind](*values))


def _nested_exponent(node: Any) -> float:
    """The largest product of constant exponents that stand above each other."""
    if not isinstance(node, _Node):
        return max((_nested_exponent(part) for part in node), default=1.0) if isinstance(node, tuple) else 1.0
    own = 1.0
    if node.kind == "**":
        size = _rough(node.parts[1])
        own = max(1.0, abs(size)) if size is not None else 1.0
    return own * _nested_exponent(node.parts)


def _rough_call(function: Any, values: Sequence[float]) -> float:
    if function in (sympy.exp, sympy.sinh, sympy.cosh):
        return math.exp(abs(values[0]))
    if function is sympy.log:
        return math.log(values[0]) if values[0] > 0 else 0.0
    return max(abs(value) for value in values) + 1


_ARITHMETIC: dict[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "**": operator.pow,
    "negative": operator.neg,
}


def _build(node: _Node, symbols: dict[str, Symbol]) -> Expr:
    """The SymPy expression of a checked tree; collects the parameters by name."""
    if node.kind == "number":
        return sympy.Rational(node.parts[0].numerator, node.parts[0].denominator)
    if node.kind == "name":
        return _symbol(node.parts[0], symbols)
    if node.kind == "truth":
        return sympy.true if node.parts[0] else sympy.false
    if node.kind == "piecewise":
        return sympy.Piecewise(*((_build(value, symbols), _build(when, symbols)) for value, when in node.parts))
    if node.kind in ("call", "relation"):
        return node.parts[0](*(_build(part, symbols) for part in node.parts[1:]))
    parts = [_build(part, symbols) for part in node.parts]
    if node.kind in ("and", "or", "not"):
        return {"and": sympy.And, "or": sympy.Or, "not": sympy.Not}[node.kind](*parts)
    return _ARITHMETIC[node.kind](*parts)


def _symbol(name: str, symbols: dict[str, Symbol]) -> Expr:
    constants: dict[str, Expr] = {"x": x, "pi": sympy.pi, "e": sympy.E}
    return constants[name] if name in constants else symbols.setdefault(name, Symbol(name, real=True))
