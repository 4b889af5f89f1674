"""Certificates checked again, by a small evaluator that imports nothing of the engine that wrote them.

Sign tables, breakpoint limits and the facts read off them are verified with intervals of exact decimals and
derivatives as power series on the formula itself. What is not covered - the sign beyond the bounded window,
limits at infinity, moments - is reported as not re-checked, never as ok; where a fact rests on those it is ok
given them, and they are tried at points far out. A file is read as one that somebody may have tampered with:
sizes, depths and times are bounded, and nothing is taken for granted because it is written there.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from functools import cached_property, cmp_to_key
from itertools import pairwise
from pathlib import Path
from typing import Any

from relusym import intervals as iv
from relusym.errors import InvalidRequest
from relusym.intervals import GUESSES, Interval, OutsideDomain, Series, exact, hull

OK, WRONG, SKIPPED = "ok", "wrong", "not re-checked"
ORDERS = (0, 1, 2, 3)
_MAX_BOXES = 4000
_MAX_BYTES = 8_000_000
_MAX_TEXT = 20_000
_MAX_DEPTH = 150
_MAX_ENTRIES = 200  # of any list in a certificate
_MAX_MULTIPLICITY = 12
_HIGHEST_ORDER = 8  # of derivatives that are compared at a breakpoint
_REACH = 8  # a window towards infinity is at least that long
_SECONDS, _SECONDS_IN_ALL = 20.0, 300.0
_GIVEN_TAILS = "given the signs beyond the window and the limits at infinity"


@dataclass(frozen=True)
class Check:
    """What came of one part of a certificate; `status` is ok, wrong or not re-checked."""

    activation: str
    subject: str
    status: str
    reason: str = ""


def recheck_file(path: Path) -> tuple[Check, ...]:
    """All checks of what `relusym derive --format json` wrote, one document or a list.

    Raises `InvalidRequest` for a file that is none.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > _MAX_BYTES:
        raise InvalidRequest(f"{path} has more than {_MAX_BYTES} bytes; recheck the activations one by one")
    try:
        document = json.loads(content.decode("utf-8"), object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is no JSON: {error}; write it with: relusym derive NAME --format json") from None
    try:
        return recheck(document)
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}: {error}") from None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is there twice")
    return found


def recheck(document: Any) -> tuple[Check, ...]:
    """All checks of one document of `derive`, or of a list of them; see `recheck_file`."""
    documents = document if isinstance(document, list) else [document]
    if not documents:
        raise InvalidRequest("the list is empty; `derive --format json` writes one document or several")
    checks: list[Check] = []
    clock = _Clock()
    with localcontext(GUESSES):
        for one in documents:
            if isinstance(one, dict) and "inputs" in one:
                raise InvalidRequest(
                    f"{one.get('name')} is a function of several inputs or values, for which no certificates are "
                    "written; recheck documents of functions of one input and one value"
                )
            try:
                checks += _Certificate(one, clock).checks()
            except InvalidRequest:
                raise
            except (KeyError, TypeError, IndexError, AttributeError, ValueError, RecursionError) as error:
                raise InvalidRequest(
                    f"the document is not what `derive --format json` writes ({type(error).__name__}: {error})"
                ) from None
    return tuple(checks)


class _Wrong(Exception):
    """A contradiction, proved."""


class _Skipped(Exception):
    """Beyond this checker, with the reason."""


class _Clock:
    """The time that is left, for one check and for all of them."""

    def __init__(self) -> None:
        self._last = self._until = time.monotonic() + _SECONDS_IN_ALL

    def start(self) -> None:
        """Begin one check."""
        self._until = min(self._last, time.monotonic() + _SECONDS)

    def look(self) -> None:
        """Raise `_Skipped` when the time is up."""
        if time.monotonic() > self._until:
            raise _Skipped(f"not finished in {_SECONDS:g} s, {_SECONDS_IN_ALL:g} s for the whole file")


# --- formulas: text to a tree by an allow-list, trees to series ---


@dataclass(frozen=True)
class _Rational(Interval):
    """A rational number itself, with the interval around it."""

    number: Fraction


def _rational(number: Fraction) -> _Rational:
    around = exact(number)
    return _Rational(around.lo, around.hi, number)


_PLUS_INFINITY = Interval(Decimal("Infinity"), Decimal("Infinity"))  # for comparisons only
_MINUS_INFINITY = Interval(Decimal("-Infinity"), Decimal("-Infinity"))


def _lambert(u: Series) -> Series:
    if any(not higher.is_zero for higher in u[1:]):
        raise _Skipped("LambertW of x is not evaluated here")
    return iv.constant(iv.lambert(u[0]), len(u))


_UNARY: dict[str, Callable[[Series], Series]] = {
    "exp": iv.exp_series,
    "log": iv.log_series,
    "sqrt": lambda u: iv.power_series(u, Fraction(1, 2)),
    "erf": iv.erf_series,
    "erfc": iv.erfc_series,
    "sin": iv.sin_series,
    "cos": iv.cos_series,
    "tanh": iv.tanh_series,
    "sinh": iv.sinh_series,
    "cosh": iv.cosh_series,
    "atan": iv.atan_series,
    "asinh": iv.asinh_series,
    "LambertW": _lambert,
}
_SWITCHES = ("Max", "Min", "Abs", "sign", "Heaviside", "Piecewise")
_CONSTANTS = ("pi", "e")
_RESERVED = {*_UNARY, *_SWITCHES, *_CONSTANTS, "oo", "nan"}


class _Formula:
    """A text as a tree; only what is named here has a meaning.

    Raises `InvalidRequest` for a text that is too long, nested too deeply, or no expression.
    """

    def __init__(self, text: str, clock: _Clock) -> None:
        if not isinstance(text, str):
            raise InvalidRequest(f"a formula is no text but {type(text).__name__}; `derive` writes none such")
        if len(text) > _MAX_TEXT:
            raise InvalidRequest(f"a formula of {len(text)} characters; at most {_MAX_TEXT} are read")
        try:
            self.tree = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            raise InvalidRequest(f"the formula {text[:60]!r} is not understood") from None
        self.text, self.clock = text, clock
        nodes: list[ast.AST] = []
        waiting: list[tuple[ast.AST, int]] = [(self.tree, 0)]
        while waiting:
            node, depth = waiting.pop()
            if depth > _MAX_DEPTH:
                raise InvalidRequest("a formula is nested too deeply")
            nodes.append(node)
            waiting += [(part, depth + 1) for part in ast.iter_child_nodes(node)]
        self.words = {node.id for node in nodes if isinstance(node, ast.Name)}
        self._open: set[ast.AST] = set()
        for node in reversed(nodes):
            named = isinstance(node, ast.Name) and node.id not in _RESERVED
            if named or any(part in self._open for part in ast.iter_child_nodes(node)):
                self._open.add(node)
        self._values: dict[ast.expr, Interval] = {}

    @property
    def is_smooth(self) -> bool:
        """Whether no function in it has a kink or a jump."""
        return not self.words & set(_SWITCHES)

    def series(self, names: Mapping[str, Series], length: int) -> Series:
        """The power series, from those of the names."""
        return self._of(self.tree, names, length)

    def switches(self, variable: str, parameters: Mapping[str, Series]) -> set[Fraction]:
        """Where a condition, or a function with a kink, goes from one branch to another; as far as it is linear."""
        numbers = {name: (value[0].number,) for name, value in parameters.items() if isinstance(value[0], _Rational)}
        sides: list[tuple[ast.expr, ast.expr | None]] = []
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Compare):
                sides.append((node.left, node.comparators[0]))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _SWITCHES:
                if node.func.id in ("Max", "Min"):
                    sides += [(one, other) for one, other in pairwise(node.args)]
                elif node.func.id != "Piecewise":
                    sides += [(argument, None) for argument in node.args[:1]]
        found = set()
        for left, right in sides[:_MAX_ENTRIES]:
            values = []
            for x in (Fraction(0), Fraction(1), Fraction(2)):
                at = {**numbers, variable: (x,)}
                one = self._exactly(left, at, 1)
                other = (Fraction(0),) if right is None else self._exactly(right, at, 1)
                values.append(None if one is None or other is None else one[0] - other[0])
            a, b, c = values
            if a is not None and b is not None and c is not None and c - b == b - a != 0:
                found.add(a / (a - b))
        return found

    def rational(self, names: Mapping[str, tuple[Fraction, ...]], length: int) -> tuple[Fraction, ...] | None:
        """The series in rational numbers; None where it is not made of + - * /, integer powers and exp(0)."""
        return self._exactly(self.tree, names, length)

    def _of(self, node: ast.expr, names: Mapping[str, Series], length: int) -> Series:
        if node in self._open:
            return self._evaluated(node, names, length)
        if node not in self._values:
            self._values[node] = self._evaluated(node, {}, 1)[0]
        return iv.constant(self._values[node], length)

    def _evaluated(self, node: ast.expr, names: Mapping[str, Series], length: int) -> Series:
        self.clock.look()
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**400:
            return iv.constant(exact(node.value), length)
        if isinstance(node, ast.Name) and node.id in names:
            return names[node.id]
        if isinstance(node, ast.Name) and node.id in _CONSTANTS:
            return iv.constant(iv.pi() if node.id == "pi" else iv.exp(iv.ONE), length)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            operand = self._of(node.operand, names, length)
            return iv.negate(operand) if isinstance(node.op, ast.USub) else operand
        if isinstance(node, ast.BinOp):
            return self._operation(node, names, length)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            return self._call(node.func.id, node.args, names, length)
        raise InvalidRequest(f"{ast.unparse(node)[:60]!r} is no part of a formula")

    def _operation(self, node: ast.BinOp, names: Mapping[str, Series], length: int) -> Series:
        left = self._of(node.left, names, length)
        if isinstance(node.op, ast.Pow):
            power = _quotient(node.right)
            if power is None:
                return iv.exp_series(iv.multiply(self._of(node.right, names, length), iv.log_series(left)))
            if abs(power) > 1000:
                raise InvalidRequest(f"the exponent {ast.unparse(node.right)[:20]} is too large")
            return iv.integer_power(left, int(power)) if power.denominator == 1 else iv.power_series(left, power)
        right = self._of(node.right, names, length)
        if isinstance(node.op, ast.Add):
            return iv.add(left, right)
        if isinstance(node.op, ast.Sub):
            return iv.add(left, iv.negate(right))
        if isinstance(node.op, ast.Mult):
            return iv.multiply(left, right)
        if isinstance(node.op, ast.Div):
            return iv.divide(left, right)
        raise InvalidRequest(f"{ast.unparse(node)[:60]!r} is no part of a formula")

    def _call(self, name: str, arguments: Sequence[ast.expr], names: Mapping[str, Series], length: int) -> Series:
        if name in _UNARY and len(arguments) == 1:
            return _UNARY[name](self._of(arguments[0], names, length))
        if name not in _SWITCHES:
            raise InvalidRequest(f"{name[:40]!r} is no known function")
        if length > 1:
            raise _Skipped(f"{name} has no power series")
        if name == "Piecewise":
            for branch in arguments:
                if not isinstance(branch, ast.Tuple) or len(branch.elts) != 2:
                    raise InvalidRequest("a branch of a Piecewise is no (value, condition)")
                if self._holds(branch.elts[1], names):
                    return self._of(branch.elts[0], names, 1)
            raise _Wrong("no branch covers the point")
        values = [self._of(argument, names, 1)[0] for argument in arguments]
        if name in ("Max", "Min") and values:
            ends = [max, max] if name == "Max" else [min, min]
            return (Interval(ends[0](value.lo for value in values), ends[1](value.hi for value in values)),)
        if name == "Abs" and len(values) == 1:
            return (_size(values[0]),)
        if name == "sign" and len(values) == 1:
            return (exact(self._direction(arguments[0], None, names)),)
        if name == "Heaviside" and len(values) in (1, 2):
            direction = self._direction(arguments[0], None, names)
            at_zero = values[1] if len(values) == 2 else exact(Fraction(1, 2))
            return (at_zero if direction == 0 else exact(max(direction, 0)),)
        raise InvalidRequest(f"{name} with {len(values)} arguments")

    def _direction(self, left: ast.expr, right: ast.expr | None, names: Mapping[str, Series]) -> int:
        """The sign of left - right."""
        numbers = {key: (value[0].number,) for key, value in names.items() if isinstance(value[0], _Rational)}
        sides = [(Fraction(0),) if side is None else self._exactly(side, numbers, 1) for side in (left, right)]
        if sides[0] is not None and sides[1] is not None:
            return (sides[0] > sides[1]) - (sides[0] < sides[1])
        value = self._of(left, names, 1)[0]
        direction = (value if right is None else value - self._of(right, names, 1)[0]).sign
        if direction is None:
            raise _Skipped("a condition is not decided")
        return direction

    def _holds(self, node: ast.expr, names: Mapping[str, Series]) -> bool:
        if isinstance(node, ast.Constant) and isinstance(node.value, bool):
            return node.value
        if isinstance(node, ast.BoolOp):
            values = [self._holds(part, names) for part in node.values]
            return all(values) if isinstance(node.op, ast.And) else any(values)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
            first, second = self._holds(node.left, names), self._holds(node.right, names)
            return (first and second) if isinstance(node.op, ast.BitAnd) else (first or second)
        if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _ACCEPTED:
            return self._direction(node.left, node.comparators[0], names) in _ACCEPTED[type(node.ops[0])]
        raise InvalidRequest(f"the condition {ast.unparse(node)[:60]!r} is not understood")

    def _exactly(
        self, node: ast.expr, names: Mapping[str, tuple[Fraction, ...]], length: int
    ) -> tuple[Fraction, ...] | None:
        self.clock.look()
        zeros = (Fraction(0),) * (length - 1)
        if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**400:
            return (Fraction(node.value), *zeros)
        if isinstance(node, ast.Name):
            return names.get(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._exactly(node.operand, names, length)
            return None if inner is None else tuple(-number for number in inner)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "exp" and node.args:
            u = self._exactly(node.args[0], names, length)
            return None if u is None or u[0] else _bounded(_exponential(u))
        if not isinstance(node, ast.BinOp):
            return None
        a = self._exactly(node.left, names, length)
        if isinstance(node.op, ast.Pow):
            power = _quotient(node.right)
            if a is None or power is None or power.denominator != 1 or abs(power) > 64 or (power < 0 and not a[0]):
                return None
            result = (Fraction(1), *zeros)
            for _ in range(abs(int(power))):
                result = _bounded(_product(result, a))
            return result if power >= 0 else _bounded(_ratio((Fraction(1), *zeros), result))
        b = self._exactly(node.right, names, length)
        if a is None or b is None:
            return None
        if isinstance(node.op, ast.Add):
            return tuple(p + q for p, q in zip(a, b, strict=True))
        if isinstance(node.op, ast.Sub):
            return tuple(p - q for p, q in zip(a, b, strict=True))
        if isinstance(node.op, ast.Mult):
            return _bounded(_product(a, b))
        return _bounded(_ratio(a, b)) if isinstance(node.op, ast.Div) and b[0] else None


_ACCEPTED: Mapping[type[ast.cmpop], tuple[int, ...]] = {
    ast.Lt: (-1,),
    ast.LtE: (-1, 0),
    ast.Gt: (1,),
    ast.GtE: (0, 1),
    ast.Eq: (0,),
    ast.NotEq: (-1, 1),
}


def _product(a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    return tuple(sum((a[k] * b[n - k] for k in range(n + 1)), Fraction(0)) for n in range(len(a)))


def _ratio(a: tuple[Fraction, ...], b: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    quotient: list[Fraction] = []
    for n in range(len(a)):
        quotient.append((a[n] - sum((b[k] * quotient[n - k] for k in range(1, n + 1)), Fraction(0))) / b[0])
    return tuple(quotient)


def _exponential(u: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    """The series of exp(u) where u begins with 0, from g' = u' g."""
    result = [Fraction(1)]
    for n in range(1, len(u)):
        result.append(sum((k * u[k] * result[n - k] for k in range(1, n + 1)), Fraction(0)) / n)
    return tuple(result)


def _bounded(numbers: tuple[Fraction, ...]) -> tuple[Fraction, ...]:
    if any(max(abs(n.numerator), n.denominator).bit_length() > 4000 for n in numbers):
        raise _Skipped("a rational number grew too long")
    return numbers


def _quotient(node: ast.expr) -> Fraction | None:
    """An integer or a quotient of two, with signs; None for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**400:
        return Fraction(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _quotient(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        above, below = _quotient(node.left), _quotient(node.right)
        return above / below if above is not None and below else None
    return None


def _repeats(node: ast.expr, variable: str, turns: Fraction) -> tuple[int, Fraction] | None:
    """(s, c) with g(x + P) = s g(x) + c P for all x, where P is that many turns of pi; None where it is not seen.

    The drift c is 0 wherever s is -1.
    """
    if not any(isinstance(part, ast.Name) and part.id == variable for part in ast.walk(node)):
        return 1, Fraction(0)
    if isinstance(node, ast.Name):
        return 1, Fraction(1)
    if isinstance(node, ast.UnaryOp):
        inner = _repeats(node.operand, variable, turns)
        return None if inner is None else (inner[0], -inner[1] if isinstance(node.op, ast.USub) else inner[1])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        inner = _repeats(node.args[0], variable, turns)
        if inner is None or inner[0] == -1:
            return None
        half_turns = inner[1] * turns
        if inner[1] == 0:
            return inner
        if node.func.id in ("sin", "cos") and half_turns.denominator == 1:
            return (-1 if half_turns % 2 else 1), Fraction(0)
        return None
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _repeats(node.left, variable, turns), _repeats(node.right, variable, turns)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Add | ast.Sub):
        drift = left[1] + right[1] * (1 if isinstance(node.op, ast.Add) else -1)
        return (left[0], drift) if left[0] == right[0] else None
    if isinstance(node.op, ast.Mult | ast.Div) and left[1] == right[1] == 0:
        return left[0] * right[0], Fraction(0)
    if isinstance(node.op, ast.Mult):
        factor, other = (_quotient(node.left), right) if left[1] == 0 else (_quotient(node.right), left)
        return None if factor is None or other[0] == -1 else (1, factor * other[1])
    if isinstance(node.op, ast.Div):
        factor = _quotient(node.right)
        return None if not factor or left[0] == -1 else (1, left[1] / factor)
    power = _quotient(node.right)
    if isinstance(node.op, ast.Pow) and left[1] == 0 and power is not None and power.denominator == 1:
        return left[0] ** (int(power) % 2), Fraction(0)
    return None


def _turns(node: ast.expr) -> Fraction | None:
    """The q of a number written as q pi; None where it is written otherwise."""
    if isinstance(node, ast.Name) and node.id == "pi":
        return Fraction(1)
    if (number := _quotient(node)) == 0:
        return number
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _turns(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div):
        for one, other in ((node.left, node.right), (node.right, node.left)):
            turns, factor = _turns(one), _quotient(other)
            if turns is not None and factor is not None:
                if isinstance(node.op, ast.Mult):
                    return turns * factor
                return turns / factor if one is node.left and factor else None
    return None


# --- one document ---


@dataclass(frozen=True)
class _Zero:
    """An isolating interval with rational ends, and what it isolates."""

    lower: Interval
    upper: Interval
    exact: str | None
    multiplicity: int


@dataclass(frozen=True)
class _Table:
    """The signs of f^(order) on one piece, as claimed."""

    piece: int
    order: int
    window: tuple[str, str]
    at_ends: tuple[int | None, int | None]
    zeros: tuple[_Zero, ...]
    signs: tuple[int, ...]
    period: str | None
    said_to_vanish: bool

    @property
    def vanishes(self) -> bool:
        return self.signs == (0,)

    @property
    def subject(self) -> str:
        return f"sign table of f{chr(39) * self.order} on piece {self.piece}"


@dataclass(frozen=True)
class _Part:
    """An interval or a point of a set of numbers; infinite ends are never inside."""

    lower: Interval
    upper: Interval
    with_lower: bool
    with_upper: bool

    @property
    def is_point(self) -> bool:
        return self.lower is self.upper


class _Piece:
    """A smooth branch; derivatives come from series on its tree."""

    def __init__(self, entry: Mapping[str, str], variable: str, clock: _Clock) -> None:
        self.lower, self.upper = _word(entry["lower"]), _word(entry["upper"])
        self.formula, self.variable = _Formula(entry["expr"], clock), variable

    def derivative(self, order: int, x: Interval) -> Interval:
        """An enclosure of f^(order) on x: the series of the formula, met with the mean-value form.

        At a rational number the value of a rational function is exact.
        """
        if isinstance(x, _Rational) and self.formula.is_smooth:
            there = (x.number, Fraction(1), *[Fraction(0)] * order)[: order + 1]
            series = self.formula.rational({self.variable: there}, order + 1)
            if series is not None:
                return _rational(series[order] * _factorial(order))
        natural = self._natural(order, x)
        return natural if x.lo == x.hi else self._met(order, x, natural)

    def _met(self, order: int, x: Interval, natural: Interval) -> Interval:
        try:
            middle = x.middle
            form = self._natural(order, middle) + self._natural(order + 1, x) * (x - middle)
        except ArithmeticError:
            return natural
        if not form.overlaps(natural):
            raise _Wrong("two enclosures of one value are disjoint")
        return form.meet(natural)

    def sign(self, order: int, x: Interval) -> int | None:
        """The sign of f^(order) all over x, where it is seen."""
        natural = self._natural(order, x)
        return natural.sign if x.lo == x.hi or natural.sign is not None else self._met(order, x, natural).sign

    def _natural(self, order: int, x: Interval) -> Interval:
        if not self.formula.is_smooth:
            raise _Skipped("a piece is written with a function that has kinks")
        series = self.formula.series({self.variable: iv.variable(x, order + 1)}, order + 1)
        return series[order] * exact(_factorial(order))


def _factorial(n: int) -> int:
    return 1 if n < 2 else n * _factorial(n - 1)


class _Certificate:
    """The parts of one document, and the checks of each."""

    def __init__(self, document: Mapping[str, Any], clock: _Clock) -> None:
        self.document, self.clock = document, clock
        self.name = _word(document["name"])
        if len(self.name) > 200 or not self.name.isidentifier():
            raise ValueError("the name is no identifier")
        certificate = document["certificate"]
        self.variable = _word(certificate["variable"])
        if self.variable in _RESERVED or not self.variable.isidentifier():
            raise ValueError(f"{self.variable!r} is no name of a variable")
        self.pieces = [_Piece(entry, self.variable, clock) for entry in _several(certificate["pieces"])]
        self.breakpoints = _several(certificate["breakpoints"])
        if len(self.pieces) != len(self.breakpoints) + 1:
            raise ValueError(f"{len(self.pieces)} pieces and {len(self.breakpoints)} breakpoints")
        for entry in self.breakpoints:
            _word(entry["at"])
            if len(entry["limits"]) != len(ORDERS) or any(len(pair) != 2 for pair in entry["limits"]):
                raise ValueError("the limits at a breakpoint are not four pairs")
        self.tables: dict[tuple[int, int], _Table] = {}
        for entry in _several(certificate["tables"], len(ORDERS) * _MAX_ENTRIES):
            table = self._table(entry)
            if (table.piece, table.order) in self.tables:
                raise ValueError(f"the {table.subject} is there twice")
            self.tables[table.piece, table.order] = table
        self.facts = document["facts"]
        if not isinstance(self.facts, dict) or len(self.facts) > _MAX_ENTRIES:
            raise TypeError("the facts are no object of a few facts")
        self._numbers: dict[str, Interval] = {}
        self._narrowed: dict[_Zero, Interval] = {}
        self._limits_found: dict[tuple[int, int, int], Interval] = {}
        self.grounded = False
        """Whether the pieces were compared with the formula."""
        self.valued: set[int] = set()
        """Breakpoints whose values were compared with the formula."""
        self.sound: set[int] = set()
        """Orders whose tables were all verified."""

    def _table(self, entry: Mapping[str, Any]) -> _Table:
        zeros = tuple(
            _Zero(
                _ratio_of(zero["lower"]),
                _ratio_of(zero["upper"]),
                None if zero["exact"] is None else _word(zero["exact"]),
                _count(zero["multiplicity"], 1, _MAX_MULTIPLICITY),
            )
            for zero in _several(entry["zeros"])
        )
        low, high = entry["window"]
        signs = tuple(_count(sign, -1, 1) for sign in _several(entry["signs"], _MAX_ENTRIES + 1))
        if len(signs) != len(zeros) + 1 or (0 in signs and signs != (0,)) or type(entry["vanishes"]) is not bool:
            raise ValueError("a sign table is malformed")
        ends = [
            None if end is None else _count(end, 0, _HIGHEST_ORDER)
            for end in (entry["order_at_lower"], entry["order_at_upper"])
        ]
        period = None if entry["period"] is None else _word(entry["period"])
        return _Table(
            _count(entry["piece"], 0, len(self.pieces) - 1),
            _count(entry["order"], ORDERS[0], ORDERS[-1]),
            (_word(low), _word(high)),
            (ends[0], ends[1]),
            zeros,
            signs,
            period,
            entry["vanishes"],
        )

    def checks(self) -> Iterator[Check]:
        """All checks, the tables before the facts that rest on them."""
        found = self._run("pieces against the formula", self._pieces)
        self.grounded = found.status == OK
        yield found
        for index in range(len(self.breakpoints)):
            yield self._run(f"limits at the breakpoint {self.breakpoints[index]['at'][:80]}", self._limits, index)
        for order in ORDERS:
            verified = []
            for piece in range(len(self.pieces)):
                if (piece, order) in self.tables:
                    table = self.tables[piece, order]
                    verified.append(self._run(table.subject, self._verify, table))
                else:
                    subject = f"sign table of f{chr(39) * order} on piece {piece}"
                    verified.append(self._check(subject, SKIPPED, "the certificate has none"))
            yield from verified
            if all(check.status == OK for check in verified):
                self.sound.add(order)
        if any(end in ("-oo", "oo") for piece in self.pieces for end in (piece.lower, piece.upper)):
            yield self._check("signs beyond the windows", SKIPPED, "they rest on tail lemmas and limits")
        for name, fact in self.facts.items():
            yield self._fact(name, fact)

    def _check(self, subject: str, status: str, reason: str) -> Check:
        plain = "".join(letter if letter.isprintable() else "?" for letter in reason)
        return Check(self.name, subject, status, plain if len(plain) < 300 else f"{plain[:300]}...")

    def _run(self, subject: str, check: Callable[..., str], *arguments: Any) -> Check:
        self.clock.start()
        try:
            return self._check(subject, OK, check(*arguments))
        except _Wrong as contradiction:
            return self._check(subject, WRONG, str(contradiction))
        except _Skipped as reason:
            return self._check(subject, SKIPPED, str(reason))
        except OutsideDomain as reason:
            return self._check(subject, SKIPPED, f"not evaluated: {reason}")
        except ArithmeticError as reason:
            return self._check(subject, SKIPPED, f"not evaluated: {type(reason).__name__}")

    def number(self, text: str) -> Interval:
        """An interval around a number written exactly, or one of the two infinities."""
        if text not in self._numbers:
            if text in ("oo", "-oo"):
                return _PLUS_INFINITY if text == "oo" else _MINUS_INFINITY
            formula = _Formula(text, self.clock)
            found = formula.rational({}, 1)
            self._numbers[text] = formula.series({}, 1)[0] if found is None else _rational(found[0])
        return self._numbers[text]

    # --- pieces and breakpoints ---

    def _pieces(self) -> str:
        """The formula and its derivative as they are written, with the parameters put in, are those of the pieces.

        The points depend on all that is compared, so that nobody can write a formula around them.
        """
        inner = [piece.upper for piece in self.pieces[:-1]]
        if inner != [piece.lower for piece in self.pieces[1:]]:
            raise _Wrong("the pieces do not join")
        if [entry["at"] for entry in self.breakpoints] != inner:
            raise _Wrong("the breakpoints are not the ends of the pieces")
        if (self.pieces[0].lower, self.pieces[-1].upper) != ("-oo", "oo") or {"oo", "-oo"} & {*inner}:
            raise _Wrong("the pieces do not cover the line")
        for left, right in pairwise(inner):
            if _order(self.number(left), self.number(right)) >= 0:
                raise _Wrong("the breakpoints are not in increasing order")
        compared, switches = 0, self._beside_switches()
        for index, piece in enumerate(self.pieces):
            here = 0
            for point in [*self._points(index), *switches[index]]:
                narrow = True
                try:
                    for order, what in enumerate(("formula", "derivative")):
                        written, cut = self.written(what, point), piece.derivative(order, point)
                        if not written.overlaps(cut):
                            raise _Wrong(
                                f"at {self.variable} = {point.lo:.12g} the {what} is {written.lo:.12g}, "
                                f"that of piece {index} {cut.lo:.12g}"
                            )
                        narrow = narrow and _is_narrow(written) and _is_narrow(cut)
                except (ArithmeticError, _Skipped):
                    self.clock.look()
                    continue
                here += narrow
            if here < 16:
                raise _Skipped(f"piece {index} could be compared at {here} points only")
            compared += here
        return f"equal at {compared} points"

    @cached_property
    def _parameters(self) -> dict[str, Series]:
        given = self.document["parameters"]
        if not isinstance(given, dict) or len(given) > _MAX_ENTRIES or {*given} & {*_RESERVED, self.variable}:
            raise ValueError("parameters with names that have another meaning, or too many")
        return {name: (self.number(_word(value)),) for name, value in given.items()}

    @cached_property
    def _texts(self) -> dict[str, _Formula]:
        return {what: _Formula(self.document[what]["text"], self.clock) for what in ("formula", "derivative")}

    def written(self, what: str, point: Interval) -> Interval:
        """The formula, or the derivative, at a point, as the document has it in one text."""
        return self._texts[what].series({**self._parameters, self.variable: (point,)}, 1)[0]

    def _beside_switches(self) -> list[list[Interval]]:
        """For each piece, points where the text goes from branch to branch, and on both sides of them."""
        found: list[list[Interval]] = [[] for _ in self.pieces]
        inner = [self.number(entry["at"]) for entry in self.breakpoints]
        for formula in self._texts.values():
            for at in formula.switches(self.variable, self._parameters):
                for offset in (Fraction(0), *(Fraction(sign, 10**k) for k in (3, 9, 18, 30, 39) for sign in (1, -1))):
                    point = _rational(at + offset)
                    places = [_order(point, end) for end in inner]
                    if 0 not in places:  # values at the breakpoints are compared elsewhere
                        found[places.count(1)].append(point)
        return found

    def _points(self, index: int) -> list[Interval]:
        """Points of one piece: scattered, beside its ends, and far out."""
        piece = self.pieces[index]
        low, high = (self.number(end) for end in (piece.lower, piece.upper))
        start = low.hi if low.hi.is_finite() else min(high.lo, Decimal(8)) - 16
        stop = high.lo if high.lo.is_finite() else max(start, Decimal(-8)) + 16
        first, last = _fraction(start), _fraction(stop)
        width = last - first
        texts = [*(formula.text for formula in self._texts.values()), piece.formula.text]
        seed = hashlib.sha256(json.dumps(texts).encode()).digest()
        parts = [Fraction(int.from_bytes(seed[k : k + 2], "big") * 2 + 1, 2**17) for k in range(0, 32, 2)]
        parts += [Fraction(1, 2**20), 1 - Fraction(1, 2**20)]
        points = [first + width * part for part in parts]
        points += [first - 10**k for k in range(1, 7) if not low.hi.is_finite()]
        points += [last + 10**k for k in range(1, 7) if not high.lo.is_finite()]
        return [_rational(point) for point in points]

    def _limits(self, index: int) -> str:
        """The value, and the claimed one-sided limits of f, f', f'', f''', against the formula and the pieces."""
        entry, compared, missed = self.breakpoints[index], 0, []
        at, value = self.number(entry["at"]), self.number(_word(entry["value"]))
        written = self.written("formula", at)
        if not written.overlaps(value):
            raise _Wrong(f"f({entry['at']}) is {written.lo:.12g}, not {entry['value']}")
        if not (_is_narrow(written) and _is_narrow(value)):
            raise _Skipped(f"f({entry['at']}) could not be evaluated")
        self.valued.add(index)
        for order, pair in enumerate(entry["limits"]):
            for side, text in enumerate(pair):
                if text is None:
                    continue
                try:
                    here = self.limit(index, order, side)
                except (ArithmeticError, _Skipped):
                    self.clock.look()
                    missed.append(f"f{chr(39) * order}")
                    continue
                if not here.overlaps(self.number(_word(text))):
                    raise _Wrong(f"the limit of f{chr(39) * order} is {here.lo:.12g}, not {text}")
                if not _is_narrow(self.number(text)):
                    missed.append(f"f{chr(39) * order}")
                compared += 1
        if missed or not compared:
            raise _Skipped(f"claimed limits were not evaluated: {', '.join(missed) or 'all'}")
        return f"the value and {compared} limits"

    def limit(self, index: int, order: int, side: int) -> Interval:
        """The limit of f^(order) at a breakpoint from the left (side 0) or the right (1), where it is evaluated."""
        key = index, order, side
        if key not in self._limits_found:
            at = self.breakpoints[index]["at"]
            try:
                found = self.pieces[index + side].derivative(order, self.number(at))
            except ArithmeticError:
                raise _Skipped(f"the limits of f{chr(39) * order} at {at} were not evaluated") from None
            if not _is_narrow(found):
                raise _Skipped(f"the limits of f{chr(39) * order} at {at} were not evaluated")
            self._limits_found[key] = found
        return self._limits_found[key]

    def value(self, index: int) -> Interval:
        """The value of f at a breakpoint."""
        entry = self.breakpoints[index]
        if index not in self.valued:
            raise _Skipped(f"f({entry['at']}) was not compared with the formula")
        return self.number(entry["value"])

    def is_joined(self, index: int, order: int = 0) -> bool:
        """Whether f, and its derivatives up to this order, go on without a jump at a breakpoint."""
        left, right = (self.limit(index, 0, side) for side in (0, 1))
        if _order(left, right) or _order(left, self.value(index)):
            return False
        return all(_order(self.limit(index, k, 0), self.limit(index, k, 1)) == 0 for k in range(1, order + 1))

    # --- sign tables ---

    def _verify(self, table: _Table) -> str:
        """Every zero is where it is said to be, and the sign between two is what it is said to be."""
        piece, order = self.pieces[table.piece], table.order
        if table.vanishes is not table.said_to_vanish or (table.vanishes and table.at_ends != (None, None)):
            raise _Wrong("whether the function vanishes")
        start, stop = self._window(table)
        if table.vanishes:
            return self._vanishing(piece, table, Interval(start.lo, stop.hi))
        budget = [_MAX_BOXES]
        left = self._end(piece, table, 0, (start, stop), budget) if table.at_ends[0] else start
        right = self._end(piece, table, 1, (start, stop), budget) if table.at_ends[1] else stop
        position = start
        for zero in table.zeros:
            if zero.lower.lo <= position.hi or zero.upper.lo <= zero.lower.hi or zero.upper.hi >= stop.lo:
                raise _Wrong("an isolating interval is empty, or lies outside the window, or not behind the one before")
            position = zero.upper
        position = left
        for zero, sign in zip(table.zeros, table.signs, strict=False):
            until = zero.lower.hi if zero.upper.hi < right.lo else min(zero.lower.hi, right.hi)
            _cover(piece, order, position.lo, until, sign, budget)
            position = zero.upper
        _cover(piece, order, position.lo, right.hi, table.signs[-1], budget)
        for zero, (before, after) in zip(table.zeros, pairwise(table.signs), strict=True):
            self._zero(piece, table, zero, before, after, budget)
        self._beyond(piece, table, start, stop)
        return f"on [{start.lo:.6g}, {stop.hi:.6g}], {_MAX_BOXES - budget[0]} boxes"

    def _window(self, table: _Table) -> tuple[Interval, Interval]:
        """The ends of the window: those of the piece, far enough out where it has none, or one period."""
        piece = self.pieces[table.piece]
        low, high = (self.number(end) for end in table.window)
        if not (low.hi < high.lo and low.lo.is_finite() and high.hi.is_finite()):
            raise _Wrong("the window is empty")
        lower, upper = self.number(piece.lower), self.number(piece.upper)
        for end, order in zip((lower, upper), table.at_ends, strict=True):
            if not end.lo.is_finite() and order is not None:
                raise _Wrong("an order of vanishing at infinity")
        if table.period is not None:
            self._periodic(table)
            return low, high
        if lower.lo.is_finite():
            if table.window[0] != piece.lower and _order(low, lower):
                raise _Skipped(f"the window begins at {table.window[0]}, the piece at {piece.lower}")
        elif low.hi > (upper.lo if upper.lo.is_finite() else 0) - _REACH:
            raise _Skipped(f"the window begins at {table.window[0]} only")
        if upper.lo.is_finite():
            if table.window[1] != piece.upper and _order(high, upper):
                raise _Skipped(f"the window ends at {table.window[1]}, the piece at {piece.upper}")
        elif high.lo < (lower.hi if lower.hi.is_finite() else 0) + _REACH:
            raise _Skipped(f"the window ends at {table.window[1]} only")
        return low, high

    def _periodic(self, table: _Table) -> None:
        """The window is one period, and the function is seen to repeat."""
        piece = self.pieces[table.piece]
        low, high, period = (_turns(_Formula(text or "", self.clock).tree) for text in (*table.window, table.period))
        if low is None or high is None or period is None or len(self.pieces) > 1:
            raise _Skipped("a period that is no multiple of pi")
        if period <= 0 or high - low != period:
            raise _Wrong("the window is not one period long")
        if self.drift(piece, period, table.order) != 0:
            raise _Skipped(f"that {table.period} is a period is not shown")

    def drift(self, piece: _Piece, turns: Fraction, order: int) -> Fraction | None:
        """The c of f^(order)(x + P) = f^(order)(x) + c P, P being that many turns of pi; None where none is seen."""
        found = _repeats(piece.formula.tree, self.variable, turns)
        if found is None or found[0] == -1:
            return None
        return found[1] if order == 0 else Fraction(0)

    def _vanishing(self, piece: _Piece, table: _Table, box: Interval) -> str:
        """Zero everywhere: shown for what is a polynomial of lower degree, as the series are exact there."""
        value = piece.derivative(table.order, box)
        if value.is_zero:
            return "zero as a polynomial"
        if piece.derivative(table.order, box.middle).sign:
            raise _Wrong("not zero everywhere")
        raise _Skipped("zero everywhere, but not for a reason seen here")

    def _end(
        self, piece: _Piece, table: _Table, side: int, window: tuple[Interval, Interval], budget: list[int]
    ) -> Interval:
        """Beside an end where f^(k) vanishes m times over: f^(k+m) has one sign there. Gives where that stops."""
        at, m, order = window[side], table.at_ends[side], table.order
        assert m is not None
        for k in range(order, order + m):
            value = piece.derivative(k, at)
            if value.sign:
                raise _Wrong(f"f^({k}) does not vanish at the end {at.lo:.12g}")
            if not _is_zero(value):
                raise _Skipped(f"that f^({k}) vanishes at {at.lo:.12g} is not shown")
        direction = 1 if side == 0 else -1
        wanted = table.signs[0] if side == 0 else table.signs[-1] * (-1) ** m
        reach = (window[1] - window[0]).hi
        for _ in range(30):
            reach = reach / 4
            other = _thin(at + exact(direction) * Interval(reach, reach))
            sign = piece.sign(order + m, hull(at, other))
            if sign == -wanted:
                raise _Wrong(f"the sign beside the end {at.lo:.12g}")
            if sign == wanted:
                return other
            budget[0] -= 1
        raise _Skipped(f"the sign beside the end {at.lo:.12g} is not shown")

    def _zero(self, piece: _Piece, table: _Table, zero: _Zero, before: int, after: int, budget: list[int]) -> None:
        """The function changes its sign and is monotone, or it and its derivatives are exactly zero there."""
        order, low, high = table.order, zero.lower.hi, zero.upper.lo
        if (before == after) != (zero.multiplicity % 2 == 0):
            raise _Wrong(f"signs and multiplicity near {low:.8g} do not fit")
        if zero.exact is not None:
            at = self.number(zero.exact)
            if at.hi <= low or at.lo >= high:
                raise _Wrong(f"{zero.exact} lies outside its isolating interval")
        if zero.multiplicity == 1:
            for end, sign in ((low, before), (high, after)):
                found = piece.sign(order, Interval(end, end))
                if found is None:
                    raise _Skipped(f"the sign at {end:.8g} is not shown")
                if found != sign:
                    raise _Wrong(f"the sign at {end:.8g} is {found}, not {sign}")
            _cover(piece, order + 1, zero.lower.lo, zero.upper.hi, after, budget)
            self.refined(table, zero)
            return
        if zero.exact is None:
            raise _Skipped("a multiple zero without a closed form")
        if not low < at.lo <= at.hi < high:
            raise _Skipped(f"whether {zero.exact} lies in its isolating interval")
        if at.lo != at.hi and not isinstance(at, _Rational):
            raise _Skipped(f"a multiple zero at {zero.exact}, which is no rational number")
        for k in range(order, order + zero.multiplicity):
            value = piece.derivative(k, at)
            if value.sign:
                raise _Wrong(f"f^({k}) does not vanish at {zero.exact}")
            if not _is_zero(value):
                raise _Skipped(f"that f^({k}) vanishes at {zero.exact} is not shown")
        # beyond the zero the sign is that of the first derivative that does not vanish
        _cover(piece, order + zero.multiplicity, zero.lower.lo, zero.upper.hi, after, budget)

    def _beyond(self, piece: _Piece, table: _Table, start: Interval, stop: Interval) -> None:
        """Towards infinity the sign is tried at points: that proves nothing, but finds what is wrong."""
        sides = ((piece.lower, start.lo, -1, table.signs[0]), (piece.upper, stop.hi, 1, table.signs[-1]))
        for end, edge, direction, sign in sides:
            if end not in ("-oo", "oo") or table.period is not None:
                continue
            for k in range(13):
                try:
                    found = piece.sign(table.order, _thin(exact(direction * 2**k) + Interval(edge, edge)))
                except ArithmeticError:
                    break
                if found not in (None, sign):
                    raise _Wrong(f"the sign {2**k} beyond the window is {found}, not {sign}")

    # --- facts ---

    def _fact(self, name: str, fact: Mapping[str, Any]) -> Check:
        if not (isinstance(name, str) and re.fullmatch(r"[a-z_]{1,60}", name)):
            raise ValueError(f"{str(name)[:40]!r} is no name of a fact")
        subject = name.replace("_", " ")
        if fact["verdict"] not in ("PROVED", "REFUTED", "UNKNOWN"):
            raise ValueError(f"a verdict of the {subject} that nobody knows")
        if fact["verdict"] != "PROVED":
            return self._check(subject, SKIPPED, f"the verdict is {fact['verdict']}")
        check = _FACTS.get(name)
        if check is None:
            return self._check(subject, SKIPPED, "not covered")
        if fact["conditions"] != []:
            return self._check(subject, SKIPPED, "the conditions under which it holds are not covered")
        if not self.grounded:
            return self._check(subject, SKIPPED, "the pieces were not verified")
        return self._run(subject, lambda: check(self, fact["value"]))

    def need(self, *orders: int) -> None:
        """The facts below rest on these tables."""
        missing = [order for order in orders if order not in self.sound]
        if missing:
            raise _Skipped(f"the sign tables of f{chr(39) * missing[0]} were not all verified")

    def tables_of(self, order: int) -> list[_Table]:
        """The tables of one order, from left to right."""
        return [self.tables[piece, order] for piece in range(len(self.pieces))]

    def ends_of(self, table: _Table) -> tuple[Interval, Interval]:
        """The ends of the piece that a table is about."""
        piece = self.pieces[table.piece]
        return self.number(piece.lower), self.number(piece.upper)

    def period(self, order: int) -> str | None:
        """The period of the table of this order; only a whole line has one."""
        return self.tables_of(order)[0].period

    def refined(self, table: _Table, zero: _Zero) -> Interval:
        """A narrow enclosure of a zero: by Newton steps and bisection, met by its closed form.

        A multiple zero has been verified at its closed form.
        """
        if zero.multiplicity > 1:
            return self.number(zero.exact or "")
        if zero not in self._narrowed:
            box = self._narrow(self.pieces[table.piece], table.order, zero)
            if zero.exact is not None:
                at = self.number(zero.exact)
                if not at.overlaps(box):
                    raise _Wrong(f"the zero at {box.lo:.12g} is not {zero.exact}")
                box = at
            if not _is_narrow(box):
                raise _Skipped(f"where the zero near {box.lo:.8g} is, is not known to many digits")
            self._narrowed[zero] = box
        return self._narrowed[zero]

    def _narrow(self, piece: _Piece, order: int, zero: _Zero) -> Interval:
        box = Interval(zero.lower.lo, zero.upper.hi)
        before = piece.sign(order, zero.lower)
        for _ in range(200):
            middle, width = box.middle, box.width
            slope = piece.derivative(order + 1, box)
            value = piece.derivative(order, middle)
            if slope.sign:
                step = middle - value / slope
                if not step.overlaps(box):
                    raise _Wrong(f"no zero near {box.lo:.8g}")
                box = step.meet(box)
            if box.width > width / 2:
                if value.sign is None or not box.lo < middle.lo < box.hi:
                    break
                if value.sign == 0:
                    return middle
                box = Interval(middle.lo, box.hi) if value.sign == before else Interval(box.lo, middle.lo)
            if box.width < Decimal("1e-38"):
                break
        return box

    def image(self, table: _Table, order: int) -> _Part:
        """All values of f^(order) on one piece, from the table of its derivative."""
        piece = self.pieces[table.piece]
        low, high = (self.number(end) for end in table.window)
        if table.vanishes:
            inside = _rational((_fraction(low.hi) + _fraction(high.lo)) / 2)
            value = _seen(piece.derivative(order, inside))
            return _Part(value, value, True, True)
        found: list[tuple[Interval, bool]] = []
        for zero, (before, after) in zip(table.zeros, pairwise(table.signs), strict=True):
            if before != after:
                found.append((_seen(piece.derivative(order, self.refined(table, zero))), True))
        for side, end in enumerate((piece.lower, piece.upper)):
            if end not in ("-oo", "oo"):
                found.append((self.limit(table.piece - 1 + side, order, 1 - side), False))
            elif table.period is None:
                found.append((self._at_infinity(order, 2 * side - 1, table), False))
            else:
                drift = self.drift(piece, _turns(_Formula(table.period, self.clock).tree) or Fraction(0), order)
                if drift is None:
                    raise _Skipped("how the function goes on from period to period is not shown")
                if drift:
                    found.append((_PLUS_INFINITY if drift * (2 * side - 1) > 0 else _MINUS_INFINITY, False))
        (lower, with_lower), (upper, with_upper) = _extreme(found, -1), _extreme(found, 1)
        return _Part(lower, upper, with_lower, with_upper)

    def values(self, order: int) -> list[_Part]:
        """All values of f (order 0), or of f' where it exists, as parts from left to right."""
        self.need(order + 1)
        parts = [self.image(table, order) for table in self.tables_of(order + 1)]
        for index in range(len(self.breakpoints)):
            if order == 0:
                parts.append(_point(self.value(index)))
            elif self.is_joined(index, order):
                parts.append(_point(self.limit(index, order, 0)))
        return _union(parts)

    def _at_infinity(self, order: int, direction: int, table: _Table) -> Interval:
        """The limit of f^(order) as claimed, if the values far out go there."""
        fact = self.facts.get("limits" if order == 0 else "derivative_limits")
        if fact is None or fact["verdict"] != "PROVED":
            raise _Skipped("no limits at infinity are claimed")
        claimed = fact["value"]["-oo" if direction < 0 else "+oo"]
        if claimed["type"] != "number":
            raise _Skipped("the function has no limit at infinity")
        limit = self.claimed(claimed)
        self._approached(order, direction, table, limit)
        return limit

    def _approached(self, order: int, direction: int, table: _Table, limit: Interval) -> None:
        """Whether f^(order), which is monotone there, comes closer and closer to a limit, as far as one can see."""
        piece = self.pieces[table.piece]
        edge = self.number(table.window[max(direction, 0)])
        rises = direction * (table.signs[0] if direction < 0 else table.signs[-1])
        seen: list[Interval] = []
        for k in range(40):
            try:
                value = piece.derivative(order, _thin(edge + exact(direction * 16 * 4**k)))
            except ArithmeticError:
                break
            if not value.width <= _relative(value, "1e-30"):
                break
            if (value.lo > limit.hi) if rises > 0 else (value.hi < limit.lo):
                raise _Wrong(f"f{chr(39) * order} goes past its limit at infinity")
            seen.append(value)
        if len(seen) < 3:
            raise _Skipped("the function is not evaluated far out")
        a, b, c = seen[-3:]
        if limit.lo.is_finite():
            far, farther, farthest = (_size(value - limit).hi for value in (a, b, c))
            noise = _relative(limit, "1e-30")
            if farthest > noise and not (10 * farthest < 6 * farther and 10 * farther < 6 * far):
                raise _Skipped(f"that f{chr(39) * order} comes close to its limit at infinity is not seen")
        else:
            steps = [(q - p) * exact(1 if limit is _PLUS_INFINITY else -1) for p, q in pairwise((a, b, c))]
            if not (steps[0].lo > 0 and 2 * steps[1].lo > steps[0].hi):
                raise _Skipped(f"that f{chr(39) * order} is unbounded is not seen")

    # --- numbers and sets as claimed ---

    def claimed(self, number: Mapping[str, Any]) -> Interval:
        """A number as claimed. Closed form and decimal must agree."""
        if number["type"] != "number":
            raise _Wrong("no number where there is one")
        if number["exact"] in ("oo", "-oo"):
            if number["decimal"] is not None or number["radius"] is not None:
                raise _Wrong("an infinity with digits")
            return self.number(number["exact"])
        decimal, center, radius = None, Fraction(0), Fraction(0)
        if number["decimal"] is not None:
            center, radius = _decimal(number["decimal"]), _decimal(number["radius"])
            if radius < 0 or 5 * radius > abs(center):
                raise _Skipped(f"{number['decimal']} has no digit that is certain")
            decimal = hull(exact(center - radius), exact(center + radius))
        if number["exact"] is None:
            if decimal is None or radius == 0:
                raise _Skipped("a number without a closed form and without digits and a radius")
            return decimal
        closed = _seen(self.number(_word(number["exact"])))
        if decimal is not None and not closed.overlaps(decimal):
            raise _Wrong(f"{number['exact']} is not {number['decimal']}")
        if decimal is not None and radius == 0 and _order(closed, _rational(center)):
            raise _Wrong(f"{number['exact']} is not {number['decimal']}")
        return closed

    def agree(self, claimed: Mapping[str, Any], found: Interval, what: str) -> None:
        """Raise `_Wrong` where a number is not what was found."""
        if not self.claimed(claimed).overlaps(found):
            raise _Wrong(f"{what} is {found.lo:.15g}, not {claimed['exact'] or claimed['decimal']}")

    def set_agrees(
        self, claimed: Mapping[str, Any], found: Sequence[_Part], what: str, period: str | None = None
    ) -> None:
        """All parts of a set against those found: as many, with the same ends, each inside or not as claimed."""
        if claimed["type"] != "set":
            raise TypeError(f"the {what} is no set")
        if (claimed["period"] is None) != (period is None):
            raise _Wrong(f"whether the {what} repeats")
        if period is not None:
            self.agree(claimed["period"], self.number(period), "the period")
        parts = _several(claimed["components"])
        if len(parts) != len(found):
            raise _Wrong(f"the {what} has {len(found)} parts, not {len(parts)}: {_shown(found)}")
        for part, true in zip(parts, found, strict=True):
            self.agree(part["inf"], true.lower, f"an end of the {what}")
            self.agree(part["sup"], true.upper, f"an end of the {what}")
            for end, key in ((true.with_lower, "inf_attained"), (true.with_upper, "sup_attained")):
                if part[key] is not end:
                    raise _Wrong(f"whether an end of the {what} belongs to it: {_shown([true])}")
            if (part["inf"] == part["sup"]) != true.is_point:
                raise _Wrong(f"whether {_shown([true])} is one point")


def _several(entries: Any, most: int = _MAX_ENTRIES) -> list[Any]:
    if not isinstance(entries, list) or len(entries) > most:
        raise TypeError(f"no list of up to {most} entries")
    return entries


def _word(text: Any) -> str:
    if not isinstance(text, str) or len(text) > _MAX_TEXT or not text.isprintable():
        raise TypeError("no text where one belongs")
    return text


def _count(number: Any, least: int, most: int) -> int:
    if type(number) is not int or not least <= number <= most:
        raise ValueError(f"no integer from {least} to {most}")
    return number


def _ratio_of(text: Any) -> Interval:
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,400}(/[0-9]{1,400})?", text):
        raise ValueError("the end of an isolating interval is no fraction")
    above, _, below = text.partition("/")
    if below and not int(below):
        raise ValueError("the end of an isolating interval is no fraction")
    return _rational(Fraction(int(above), int(below or 1)))


def _decimal(text: Any) -> Fraction:
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,2000}(\.[0-9]{1,2000})?([eE][+-]?[0-9]{1,4})?", text):
        raise ValueError("a decimal that is none, or too long")
    return Fraction(text)


def _fraction(number: Decimal) -> Fraction:
    if abs(number.adjusted()) > 1000:
        raise _Skipped("a number that is far too large or small")
    return Fraction(number)


def _thin(x: Interval) -> Interval:
    return Interval(x.lo, x.lo)


def _is_zero(x: Interval) -> bool:
    return x.number == 0 if isinstance(x, _Rational) else x.is_zero


def _relative(x: Interval, part: str) -> Decimal:
    return Decimal(part) * max(Decimal(1), x.lo.copy_abs())


def _is_narrow(x: Interval) -> bool:
    """Whether it tells a number, to twenty digits or so."""
    return x.lo == x.hi or x.width <= _relative(x, "1e-20")


def _seen(x: Interval) -> Interval:
    if not _is_narrow(x):
        raise _Skipped(f"a number near {x.lo:.8g} is not known to many digits")
    return x


def _size(value: Interval) -> Interval:
    return value if value.lo >= 0 else -value if value.hi <= 0 else Interval(Decimal(0), hull(value, -value).hi)


def _order(one: Interval, other: Interval) -> int:
    """The sign of one - other, proved; `_Skipped` where two enclosures overlap that are no exact numbers."""
    if isinstance(one, _Rational) and isinstance(other, _Rational):
        return (one.number > other.number) - (one.number < other.number)
    if one.lo > other.hi or one.hi < other.lo:
        return 1 if one.lo > other.hi else -1
    if one.lo == one.hi == other.lo == other.hi or one is other:
        return 0
    raise _Skipped(f"whether two numbers near {one.lo:.12g} are the same is not shown")


def _sign(x: Interval) -> int:
    return _order(x, _rational(Fraction(0)))


def _extreme(values: Sequence[tuple[Interval, bool]], side: int) -> tuple[Interval, bool]:
    """The least (side -1) or greatest (1) of some numbers, and whether one that is it is marked."""
    if not values:
        raise _Skipped("there is no value to begin with")
    best, marked = values[0]
    for value, mark in values[1:]:
        try:
            relation = _order(value, best) * side
        except _Skipped:
            if mark != marked:
                raise
            best = _lesser(value, best) if side < 0 else -_lesser(-value, -best)
            continue
        if relation > 0 or (relation == 0 and mark):
            best, marked = value, mark
    return best, marked


def _lesser(one: Interval, other: Interval) -> Interval:
    return Interval(min(one.lo, other.lo), min(one.hi, other.hi))


def _point(at: Interval) -> _Part:
    return _Part(at, at, True, True)


def _union(parts: Sequence[_Part]) -> list[_Part]:
    """Disjoint parts from left to right; those that meet in an end that belongs to one of them are one."""

    def before(one: _Part, other: _Part) -> int:
        return _order(one.lower, other.lower) or other.with_lower - one.with_lower

    merged: list[_Part] = []
    for part in sorted(parts, key=cmp_to_key(before)):
        gap = _order(part.lower, merged[-1].upper) if merged else 1
        if gap > 0 or (gap == 0 and not (part.with_lower or merged[-1].with_upper)):
            merged.append(part)
            continue
        last = merged[-1]
        further = _order(part.upper, last.upper)
        upper, inside = (part.upper, part.with_upper) if further > 0 else (last.upper, last.with_upper)
        inside = inside or (further == 0 and part.with_upper)
        if not (last.is_point and upper is last.upper):
            merged[-1] = _Part(last.lower, upper, last.with_lower, inside)
    return merged


def _shown(parts: Sequence[_Part]) -> str:
    return " and ".join(
        f"{'[' if part.with_lower else '('}{part.lower.lo:.12g}, {part.upper.hi:.12g}{']' if part.with_upper else ')'}"
        for part in parts
    )


def _cover(piece: _Piece, order: int, start: Decimal, stop: Decimal, sign: int, budget: list[int]) -> None:
    """Show that f^(order) has this sign all over a box, by bisection."""
    if start >= stop:
        return
    waiting = [Interval(start, stop)]
    while waiting:
        part = waiting.pop()
        budget[0] -= 1
        if budget[0] < 0:
            raise _Skipped(f"more than {_MAX_BOXES} boxes")
        try:
            found = piece.sign(order, part)
        except ArithmeticError:
            found = None
        if found == sign:
            continue
        if found is not None:
            raise _Wrong(f"f^({order}) has the sign {found}, not {sign}, near {part.middle.lo:.8g}")
        middle = part.middle
        if not part.lo < middle.lo < part.hi or part.width < Decimal("1e-40"):
            raise _Skipped(f"the sign of f^({order}) near {part.lo:.8g} is not shown")
        here = piece.sign(order, middle)
        if here is not None and here != sign:
            raise _Wrong(f"f^({order}) has the sign {here}, not {sign}, at {middle.lo:.8g}")
        waiting += [Interval(part.lo, middle.lo), Interval(middle.lo, part.hi)]


def _range(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.set_agrees(claimed, certificate.values(0), "range")
    return _GIVEN_TAILS


def _derivative_range(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.set_agrees(claimed, certificate.values(1), "range of f'")
    return _GIVEN_TAILS


def _lipschitz(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(2)
    if not all(certificate.is_joined(index) for index in range(len(certificate.breakpoints))):
        steepest = _PLUS_INFINITY
    else:
        images = [certificate.image(table, 1) for table in certificate.tables_of(2)]
        steepest, _ = _extreme([(_size(end), True) for part in images for end in (part.lower, part.upper)], 1)
    certificate.agree(claimed, steepest, "sup |f'|")
    return _GIVEN_TAILS


def _monotonicity(certificate: _Certificate, claimed: str) -> str:
    certificate.need(1)
    signs = {sign for table in certificate.tables_of(1) for sign in table.signs}
    for index in range(len(certificate.breakpoints)):
        before, value, after = certificate.limit(index, 0, 0), certificate.value(index), certificate.limit(index, 0, 1)
        signs |= {_order(value, before), _order(after, value)}
    flat = any(table.vanishes for table in certificate.tables_of(1))
    if signs - {0} == {1, -1}:
        word = "none"
    elif signs <= {0}:
        word = "constant"
    else:
        direction = "increasing" if 1 in signs else "decreasing"
        word = direction if flat else f"strictly {direction}"
    if word != claimed:
        raise _Wrong(f"f is {word}, not {claimed}")
    return _GIVEN_TAILS


def _convexity(certificate: _Certificate, claimed: str) -> str:
    certificate.need(2)
    word = "none"
    if all(certificate.is_joined(index) for index in range(len(certificate.breakpoints))):
        bends = {sign for table in certificate.tables_of(2) for sign in table.signs}
        for index in range(len(certificate.breakpoints)):
            left, right = (certificate.limit(index, 1, side) for side in (0, 1))
            bends.add(_order(right, left))
        word = "affine" if bends <= {0} else "convex" if bends <= {0, 1} else "concave" if bends <= {0, -1} else "none"
    if word != claimed:
        raise _Wrong(f"f is {word}, not {claimed}")
    return _GIVEN_TAILS


def _zeros(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(0)
    parts = []
    for table in certificate.tables_of(0):
        if table.vanishes:
            parts.append(_Part(*certificate.ends_of(table), False, False))
        parts += [_point(certificate.refined(table, zero)) for zero in table.zeros]
    for index in range(len(certificate.breakpoints)):
        if _sign(certificate.value(index)) == 0:
            parts.append(_point(certificate.number(certificate.breakpoints[index]["at"])))
    certificate.set_agrees(claimed, _union(parts), "set of zeros", certificate.period(0))
    return _GIVEN_TAILS


def _inflections(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(2)
    tables = certificate.tables_of(2)
    parts = [_point(certificate.refined(t, zero)) for t in tables for zero in t.zeros if zero.multiplicity % 2]
    for index, (left, right) in enumerate(pairwise(tables)):
        if left.signs[-1] * right.signs[0] < 0 and certificate.is_joined(index, 1):
            parts.append(_point(certificate.number(certificate.breakpoints[index]["at"])))
    certificate.set_agrees(claimed, _union(parts), "set of inflections", certificate.period(2))
    return _GIVEN_TAILS


def _dead_region(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(1)
    tables = certificate.tables_of(1)
    parts = [_Part(*certificate.ends_of(table), False, False) for table in tables if table.vanishes]
    for index, beside in enumerate(pairwise(tables)):
        if any(table.vanishes for table in beside) and certificate.is_joined(index):
            slopes = [certificate.limit(index, 1, side) for side in (0, 1)]
            if all(_sign(slope) == 0 for slope in slopes):
                parts.append(_point(certificate.number(certificate.breakpoints[index]["at"])))
    certificate.set_agrees(claimed, _union(parts), "dead region")
    return ""


def _kinks(certificate: _Certificate, claimed: Sequence[Mapping[str, Any]]) -> str:
    found = [index for index in range(len(certificate.breakpoints)) if not certificate.is_joined(index, 1)]
    if len(found) != len(_several(claimed)):
        raise _Wrong(f"{len(found)} kinks, not {len(claimed)}")
    for kink, index in zip(claimed, found, strict=True):
        at = certificate.breakpoints[index]["at"]
        certificate.agree(kink["at"], certificate.number(at), "a kink")
        slopes = [certificate.limit(index, 1, side) for side in (0, 1)]
        for side, slope in zip(("left", "right"), slopes, strict=True):
            certificate.agree(kink[side], slope, f"the slope on the {side} of {at}")
        if certificate.is_joined(index) != (kink["clarke"] is not None):
            raise _Wrong(f"whether f jumps at {at}")
        inside = False
        if kink["clarke"] is not None:
            low, high = kink["clarke"]
            for end, direction in ((low, -1), (high, 1)):
                true, _ = _extreme([(slope, True) for slope in slopes], direction)
                certificate.agree(end, true, "an end of the Clarke interval")
            inside = kink["chosen"] in (low, high) or _lies_between(certificate, kink["chosen"], slopes)
        certificate.agree(
            kink["chosen"],
            certificate.written("derivative", certificate.number(at)),
            f"the derivative written for {at}",
        )
        if kink["in_clarke"] is not inside:
            raise _Wrong(f"whether the slope chosen at {at} is inside the Clarke interval")
    return ""


def _lies_between(certificate: _Certificate, chosen: Mapping[str, Any], slopes: Sequence[Interval]) -> bool:
    value = certificate.claimed(chosen)
    return {_order(value, slope) for slope in slopes} not in ({1}, {-1})


def _bounded_values(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    parts = certificate.values(0)
    if claimed["below"] is not parts[0].lower.lo.is_finite() or claimed["above"] is not parts[-1].upper.lo.is_finite():
        raise _Wrong("whether f is bounded")
    return _GIVEN_TAILS


def _continuity(certificate: _Certificate, claimed: int | str) -> str:
    if not certificate.breakpoints:
        if claimed != "infinity":
            raise _Wrong(f"the continuity class is infinity, not {claimed}")
        return "no breakpoint"
    found = [_smoothness(certificate, index) for index in range(len(certificate.breakpoints))]
    known = [order for order in found if order is not None]
    if not known or (None in found and min(known) >= _HIGHEST_ORDER):
        raise _Skipped(f"the derivatives up to order {_HIGHEST_ORDER} meet")
    if type(claimed) is not int or claimed != min(known):
        raise _Wrong(f"the continuity class is {min(known)}, not {claimed}")
    return f"limits of the derivatives up to order {min(known) + 1}"


def _smoothness(certificate: _Certificate, index: int) -> int | None:
    """The last order up to which f and its derivatives go on at a breakpoint; None where all compared do."""
    for order in range(_HIGHEST_ORDER + 1):
        if not certificate.is_joined(index, order):
            return order - 1
    return None


_FACTS: Mapping[str, Callable[[_Certificate, Any], str]] = {
    "continuity_class": _continuity,
    "kinks": _kinks,
    "range": _range,
    "derivative_range": _derivative_range,
    "zeros": _zeros,
    "monotonicity": _monotonicity,
    "convexity": _convexity,
    "inflections": _inflections,
    "lipschitz": _lipschitz,
    "bounded": _bounded_values,
    "dead_region": _dead_region,
}
