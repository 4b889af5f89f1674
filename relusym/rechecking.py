"""Certificates checked again, by a small evaluator that imports nothing of the engine that wrote them.

Sign tables, breakpoint limits and the facts read off them are verified with intervals of exact decimals and
derivatives as power series on the formula itself. What is not covered - the sign beyond the bounded window,
limits at infinity, moments - is reported as not re-checked, never as ok.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from relusym import intervals as iv
from relusym.errors import InvalidRequest
from relusym.intervals import Interval, OutsideDomain, Series, exact, hull

OK, WRONG, SKIPPED = "ok", "wrong", "not re-checked"
ORDERS = (0, 1, 2, 3)
_MAX_BOXES = 4000
_MAX_TEXT = 20_000
_MAX_DEPTH = 200
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
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"{path} is no JSON: {error}; write it with: relusym derive NAME --format json") from None
    try:
        return recheck(document)
    except InvalidRequest as error:
        raise InvalidRequest(f"{path}: {error}") from None


def recheck(document: Any) -> tuple[Check, ...]:
    """All checks of one document of `derive`, or of a list of them; see `recheck_file`."""
    documents = document if isinstance(document, list) else [document]
    checks: list[Check] = []
    for one in documents:
        try:
            checks += _Certificate(one).checks()
        except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
            raise InvalidRequest(
                f"the document is not what `derive --format json` writes ({type(error).__name__}: {error})"
            ) from None
    return tuple(checks)


class _Wrong(Exception):
    """A contradiction, proved."""


class _Skipped(Exception):
    """Beyond this checker, with the reason."""


# --- formulas: text to a tree by an allow-list, trees to series ---

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
    "LambertW": lambda u: (iv.lambert(u[0]),) if len(u) == 1 or u[1].is_zero else _refuse("LambertW of x"),
}


def _refuse(what: str) -> Series:
    raise _Skipped(f"{what} is not evaluated here")


def _tree(text: str) -> ast.expr:
    if len(text) > _MAX_TEXT:
        raise InvalidRequest(f"a formula of {len(text)} characters; at most {_MAX_TEXT} are read")
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise InvalidRequest(f"the formula {text[:60]!r} is not understood") from None


# values of subtrees without a variable, for as long as the tree lives
_known: WeakKeyDictionary[ast.expr, Interval] = WeakKeyDictionary()


def _names(node: ast.expr) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _series(node: ast.expr, names: Mapping[str, Series], length: int, depth: int = 0) -> Series:
    """The power series of a formula; only what is named here has a meaning."""
    if depth > _MAX_DEPTH:
        raise InvalidRequest("a formula is nested too deeply")

    def of(part: ast.expr) -> Series:
        known = _known.get(part)
        if known is None:
            value = _series(part, names, length, depth + 1)
            if all(higher.is_zero for higher in value[1:]) and not _names(part) & set(names):
                _known[part] = value[0]
            return value
        return iv.constant(known, length)

    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 10**400:
        return iv.constant(exact(node.value), length)
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, ast.Name) and node.id in ("pi", "e"):
        return iv.constant(iv.pi() if node.id == "pi" else iv.exp(iv.ONE), length)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        operand = of(node.operand)
        return iv.negate(operand) if isinstance(node.op, ast.USub) else operand
    if isinstance(node, ast.BinOp):
        return _operation(node, of, length)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _call(node.func.id, node.args, of, names, length, depth)
    raise InvalidRequest(f"{ast.unparse(node)[:60]!r} is no part of a formula")


def _operation(node: ast.BinOp, of: Callable[[ast.expr], Series], length: int) -> Series:
    if isinstance(node.op, ast.Pow):
        power = _rational(node.right)
        if power is None:
            return iv.exp_series(iv.multiply(of(node.right), iv.log_series(of(node.left))))
        if abs(power) > 1000:
            raise InvalidRequest(f"the exponent {power} is too large")
        base = of(node.left)
        return iv.integer_power(base, int(power)) if power.denominator == 1 else iv.power_series(base, power)
    left, right = of(node.left), of(node.right)
    if isinstance(node.op, ast.Add):
        return iv.add(left, right)
    if isinstance(node.op, ast.Sub):
        return iv.add(left, iv.negate(right))
    if isinstance(node.op, ast.Mult):
        return iv.multiply(left, right)
    if isinstance(node.op, ast.Div):
        return iv.divide(left, right)
    raise InvalidRequest(f"{ast.unparse(node)[:60]!r} is no part of a formula")


def _rational(node: ast.expr) -> Fraction | None:
    """An integer or a quotient of two, with signs; None for anything else."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return Fraction(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _rational(node.operand)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        above, below = _rational(node.left), _rational(node.right)
        return above / below if above is not None and below else None
    return None


def _call(
    name: str,
    arguments: Sequence[ast.expr],
    of: Callable[[ast.expr], Series],
    names: Mapping[str, Series],
    length: int,
    depth: int,
) -> Series:
    if name in _UNARY and len(arguments) == 1:
        return _UNARY[name](of(arguments[0]))
    if name in ("Max", "Min") and arguments:
        values = [of(argument) for argument in arguments]
        best = values[0]
        for value in values[1:]:
            direction = iv.add(value, iv.negate(best))[0].sign
            if direction is None:
                raise _Skipped(f"which side of {name} is taken is not decided")
            best = value if direction == (1 if name == "Max" else -1) else best
        return best
    if name in ("Abs", "sign") and len(arguments) == 1:
        value = of(arguments[0])
        direction = value[0].sign
        if direction is None:
            raise _Skipped(f"the sign inside {name} is not decided")
        if name == "sign":
            return iv.constant(exact(direction), length)
        return iv.negate(value) if direction < 0 else value
    if name == "Piecewise":
        for branch in arguments:
            if not isinstance(branch, ast.Tuple) or len(branch.elts) != 2:
                raise InvalidRequest("a branch of a Piecewise is no (value, condition)")
            if _holds(branch.elts[1], of):
                return of(branch.elts[0])
        raise _Wrong("no branch covers the point")
    raise InvalidRequest(f"{name!r} is no known function")


def _holds(node: ast.expr, of: Callable[[ast.expr], Series]) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.BoolOp):
        values = [_holds(part, of) for part in node.values]
        return all(values) if isinstance(node.op, ast.And) else any(values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr):
        first, second = _holds(node.left, of), _holds(node.right, of)
        return (first and second) if isinstance(node.op, ast.BitAnd) else (first or second)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        direction = iv.add(of(node.left), iv.negate(of(node.comparators[0])))[0].sign
        if direction is None:
            raise _Skipped("a condition is not decided")
        accepted = {ast.Lt: (-1,), ast.LtE: (-1, 0), ast.Gt: (1,), ast.GtE: (0, 1), ast.Eq: (0,), ast.NotEq: (-1, 1)}
        return direction in accepted.get(type(node.ops[0]), ())
    raise InvalidRequest(f"the condition {ast.unparse(node)[:60]!r} is not understood")


def _number(text: str) -> Interval:
    """An interval around a number written exactly."""
    return _series(_tree(text), {}, 1)[0]


# --- one document ---


@dataclass(frozen=True)
class _Zero:
    """An isolating interval, and a narrow enclosure of what it isolates."""

    lower: Interval
    upper: Interval
    exact: str | None
    multiplicity: int


@dataclass(frozen=True)
class _Table:
    """The signs of f^(order) on one piece, as claimed."""

    piece: int
    order: int
    window: tuple[Interval, Interval]
    at_ends: tuple[int | None, int | None]
    zeros: tuple[_Zero, ...]
    signs: tuple[int, ...]
    period: str | None

    @property
    def vanishes(self) -> bool:
        return self.signs == (0,)


class _Piece:
    """A smooth branch; derivatives come from series on its tree."""

    def __init__(self, entry: Mapping[str, str], variable: str) -> None:
        self.lower, self.upper, self.text = entry["lower"], entry["upper"], entry["expr"]
        self.tree, self.variable = _tree(self.text), variable

    def derivative(self, order: int, x: Interval) -> Interval:
        """An enclosure of f^(order) on x: the series of the formula, met with the mean-value form."""
        natural = self._scaled(order, x, order + 1)
        if x.lo == x.hi:
            return natural[order]
        try:
            series = self._scaled(order + 1, x, order + 2)
            middle = x.middle
            form = self._scaled(order, middle, order + 1)[order] + series[order + 1] * (x - middle)
        except OutsideDomain:
            return natural[order]
        if not form.overlaps(natural[order]):
            raise _Wrong("two enclosures of one value are disjoint")
        return form.meet(natural[order])

    def _scaled(self, order: int, x: Interval, length: int) -> list[Interval]:
        """f, f', ... f^(order) from the coefficients of the series."""
        series = _series(self.tree, {self.variable: iv.variable(x, length)}, length)
        factorial, values = 1, []
        for n in range(order + 1):
            factorial *= max(n, 1)
            values.append(series[n] * exact(factorial))
        return values


class _Certificate:
    """The parts of one document, and the checks of each."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.name = str(document["name"])
        certificate = document["certificate"]
        self.variable = certificate["variable"]
        self.pieces = [_Piece(entry, self.variable) for entry in certificate["pieces"]]
        self.breakpoints = certificate["breakpoints"]
        self.tables = {(t["piece"], t["order"]): self._table(t) for t in certificate["tables"]}
        self.facts = document["facts"]
        self.sound: set[int] = set()
        """Orders whose tables were all verified."""

    def _table(self, entry: Mapping[str, Any]) -> _Table:
        zeros = tuple(
            _Zero(_number(zero["lower"]), _number(zero["upper"]), zero["exact"], int(zero["multiplicity"]))
            for zero in entry["zeros"]
        )
        low, high = (_number(end) for end in entry["window"])
        signs = tuple(int(sign) for sign in entry["signs"])
        if len(signs) != len(zeros) + 1 or low.lo >= high.hi:
            raise ValueError("a sign table is malformed")
        ends = entry["order_at_lower"], entry["order_at_upper"]
        return _Table(entry["piece"], entry["order"], (low, high), ends, zeros, signs, entry["period"])

    def checks(self) -> Iterator[Check]:
        """All checks, the tables before the facts that rest on them."""
        yield self._run("pieces against the formula", self._pieces)
        for index in range(len(self.breakpoints)):
            yield self._run(f"limits at the breakpoint {self.breakpoints[index]['at']}", self._limits, index)
        for order in ORDERS:
            found = []
            for piece in range(len(self.pieces)):
                subject = f"sign table of f{chr(39) * order} on piece {piece}"
                if (piece, order) in self.tables:
                    found.append(self._run(subject, self._verify, self.tables[piece, order]))
                else:
                    found.append(Check(self.name, subject, SKIPPED, "the certificate has none"))
            yield from found
            if all(check.status == OK for check in found):
                self.sound.add(order)
        if any(end in ("-oo", "oo") for piece in self.pieces for end in (piece.lower, piece.upper)):
            yield Check(self.name, "signs beyond the windows", SKIPPED, "they rest on tail lemmas and limits")
        for name, fact in self.facts.items():
            yield self._fact(name, fact)

    def _run(self, subject: str, check: Callable[..., str], *arguments: Any) -> Check:
        try:
            return Check(self.name, subject, OK, check(*arguments))
        except _Wrong as contradiction:
            return Check(self.name, subject, WRONG, str(contradiction))
        except _Skipped as reason:
            return Check(self.name, subject, SKIPPED, str(reason))
        except OutsideDomain as reason:
            return Check(self.name, subject, SKIPPED, f"not evaluated: {reason}")

    # --- pieces and breakpoints ---

    def _pieces(self) -> str:
        """The formula as it is written, with the parameters put in, has the values of the pieces."""
        if [piece.upper for piece in self.pieces[:-1]] != [piece.lower for piece in self.pieces[1:]]:
            raise _Wrong("the pieces do not join")
        if [entry["at"] for entry in self.breakpoints] != [piece.upper for piece in self.pieces[:-1]]:
            raise _Wrong("the breakpoints are not the ends of the pieces")
        tree = _tree(self.document["formula"]["text"])
        parameters = {name: (_number(value),) for name, value in self.document["parameters"].items()}
        compared = 0
        for index, piece in enumerate(self.pieces):
            for point in self._points(index):
                try:
                    written = _series(tree, {**parameters, self.variable: (point,)}, 1)[0]
                    cut = piece.derivative(0, point)
                except (OutsideDomain, _Skipped):
                    continue
                if not written.overlaps(cut):
                    raise _Wrong(
                        f"at {self.variable} = {point.lo} the formula is {written.lo:.12g}, piece {index} {cut.lo:.12g}"
                    )
                compared += 1
        if not compared:
            raise _Skipped("no point could be compared")
        return f"equal at {compared} points"

    def _points(self, index: int) -> list[Interval]:
        low, high = self._window(index)
        width = high - low
        return [_thin(low + width * exact(Fraction(k, 9))) for k in range(1, 9)]

    def _window(self, index: int) -> tuple[Interval, Interval]:
        piece = self.pieces[index]
        ends = [None if end in ("-oo", "oo") else _number(end) for end in (piece.lower, piece.upper)]
        low = ends[0] if ends[0] is not None else (ends[1] - exact(8) if ends[1] is not None else exact(-8))
        high = ends[1] if ends[1] is not None else low + exact(16)
        return low, high

    def _limits(self, index: int) -> str:
        """The claimed one-sided limits of f, f', f'', f''' against the series of the pieces there."""
        entry = self.breakpoints[index]
        at, compared = _number(entry["at"]), 0
        for order, pair in enumerate(entry["limits"]):
            for piece, text in zip((self.pieces[index], self.pieces[index + 1]), pair, strict=True):
                if text is None or "oo" in text:
                    continue
                try:
                    here = piece.derivative(order, at)
                except (OutsideDomain, _Skipped):
                    continue
                if not here.overlaps(_number(text)):
                    raise _Wrong(f"the limit of f{chr(39) * order} is {here.lo:.12g}, not {text}")
                compared += 1
        if not compared:
            raise _Skipped("no limit could be evaluated")
        return f"{compared} limits"

    # --- sign tables ---

    def _verify(self, table: _Table) -> str:
        """Every zero is where it is said to be, and the sign between two is what it is said to be."""
        piece, order = self.pieces[table.piece], table.order
        if table.vanishes:
            return self._vanishing(piece, table)
        budget = [_MAX_BOXES]
        start, stop = table.window
        if table.at_ends[0]:
            start = self._end(piece, table, 0, budget)
        if table.at_ends[1]:
            stop = self._end(piece, table, 1, budget)
        position = start
        for zero, sign in zip(table.zeros, table.signs, strict=False):
            if zero.lower.lo < position.lo or zero.upper.hi > stop.hi:
                raise _Wrong("an isolating interval lies outside the window, or before another")
            _cover(piece, order, Interval(position.lo, max(position.lo, zero.lower.hi)), sign, budget)
            position = zero.upper
        _cover(piece, order, Interval(position.lo, stop.hi), table.signs[-1], budget)
        for zero, (before, after) in zip(table.zeros, pairwise(table.signs), strict=True):
            self._zero(piece, order, zero, before, after, budget)
        window = f"[{table.window[0].lo:.6g}, {table.window[1].hi:.6g}]"
        return f"on {window}, {_MAX_BOXES - budget[0]} boxes"

    def _vanishing(self, piece: _Piece, table: _Table) -> str:
        """Zero everywhere: shown for what is a polynomial of lower degree, as the series are exact there."""
        box = Interval(table.window[0].lo, table.window[1].hi)
        value = piece.derivative(table.order, box)
        if value.is_zero:
            return "zero as a polynomial"
        if piece.derivative(table.order, box.middle).sign:
            raise _Wrong("not zero everywhere")
        raise _Skipped("zero everywhere, but not for a reason seen here")

    def _end(self, piece: _Piece, table: _Table, side: int, budget: list[int]) -> Interval:
        """Beside an end where f^(k) vanishes m times over: f^(k+m) has one sign there. Gives where that stops."""
        at, m, order = table.window[side], table.at_ends[side], table.order
        assert m is not None
        if at.lo != at.hi:
            raise _Skipped("an end that is no short decimal, at which the derivative vanishes")
        for k in range(order, order + m):
            value = piece.derivative(k, at)
            if value.sign:
                raise _Wrong(f"f^({k}) does not vanish at the end {at.lo}")
            if not value.is_zero:
                raise _Skipped(f"that f^({k}) vanishes at {at.lo} is not shown")
        direction = 1 if side == 0 else -1
        wanted = table.signs[0] if side == 0 else table.signs[-1] * (-1) ** m
        reach = (table.window[1] - table.window[0]).hi
        for _ in range(30):
            reach = reach / 4
            other = _thin(at + exact(direction) * Interval(reach, reach))
            box = hull(at, other)
            sign = piece.derivative(order + m, box).sign
            if sign == -wanted:
                raise _Wrong(f"the sign beside the end {at.lo}")
            if sign == wanted:
                return other
        raise _Skipped(f"the sign beside the end {at.lo} is not shown")

    def _zero(self, piece: _Piece, order: int, zero: _Zero, before: int, after: int, budget: list[int]) -> None:
        box = Interval(zero.lower.lo, zero.upper.hi)
        if zero.exact is not None and not _number(zero.exact).overlaps(box):
            raise _Wrong(f"{zero.exact} lies outside its isolating interval")
        if (before == after) != (zero.multiplicity % 2 == 0):
            raise _Wrong(f"signs and multiplicity near {box.lo:.8g} do not fit")
        if zero.multiplicity == 1:
            for end, sign in ((zero.lower, before), (zero.upper, after)):
                found = piece.derivative(order, end).sign
                if found is not None and found != sign:
                    raise _Wrong(f"the sign at {end.lo:.8g} is {found}, not {sign}")
            _cover(piece, order + 1, box, after, budget)
            return
        if zero.exact is None:
            raise _Skipped("a multiple zero without a closed form")
        at = _number(zero.exact)
        if at.lo != at.hi:
            raise _Skipped(f"a multiple zero at {zero.exact}, which is no short decimal")
        for k in range(order, order + zero.multiplicity):
            value = piece.derivative(k, at)
            if value.sign:
                raise _Wrong(f"f^({k}) does not vanish at {zero.exact}")
            if not value.is_zero:
                raise _Skipped(f"that f^({k}) vanishes at {zero.exact} is not shown")
        # beyond the zero the sign is that of the first derivative that does not vanish
        _cover(piece, order + zero.multiplicity, box, after, budget)

    # --- facts ---

    def _fact(self, name: str, fact: Mapping[str, Any]) -> Check:
        subject = name.replace("_", " ")
        if fact["verdict"] != "PROVED":
            return Check(self.name, subject, SKIPPED, f"the verdict is {fact['verdict']}")
        check = _FACTS.get(name)
        if check is None:
            return Check(self.name, subject, SKIPPED, "not covered")
        return self._run(subject, lambda: check(self, fact["value"]))

    def need(self, *orders: int) -> None:
        """The facts below rest on these tables."""
        missing = [order for order in orders if order not in self.sound]
        if missing:
            raise _Skipped(f"the sign tables of f{chr(39) * missing[0]} were not all verified")

    def tables_of(self, order: int) -> list[_Table]:
        """The tables of one order, from left to right."""
        return [self.tables[piece, order] for piece in range(len(self.pieces))]

    @cached_property
    def steps(self) -> list[list[tuple[Interval | None, Interval | None]]]:
        """For each breakpoint the one-sided limits of f, f', f'', as evaluated here or as claimed."""
        found = []
        for index, entry in enumerate(self.breakpoints):
            at, pairs = _number(entry["at"]), []
            for order in ORDERS[:3]:
                pair = []
                for piece, text in zip((index, index + 1), entry["limits"][order], strict=True):
                    pair.append(self._limit(self.pieces[piece], order, at, text))
                pairs.append((pair[0], pair[1]))
            found.append(pairs)
        return found

    def _limit(self, piece: _Piece, order: int, at: Interval, text: str | None) -> Interval | None:
        try:
            return piece.derivative(order, at)
        except (OutsideDomain, _Skipped):
            return None if text is None or "oo" in text else _number(text)

    def refined(self, table: _Table, zero: _Zero) -> Interval:
        """A narrow enclosure of a zero: its closed form, or by Newton steps."""
        if zero.exact is not None:
            return _number(zero.exact)
        piece, box = self.pieces[table.piece], Interval(zero.lower.lo, zero.upper.hi)
        for _ in range(12):
            slope = piece.derivative(table.order + 1, box)
            if slope.sign in (None, 0):
                break
            middle = box.middle
            step = middle - piece.derivative(table.order, middle) / slope
            if not step.overlaps(box):
                raise _Wrong(f"no zero near {box.lo:.8g}")
            box = step.meet(box)
        return box

    def extremes(self, order: int) -> list[tuple[Interval | None, bool, str]]:
        """Values of f^(order) that may be its largest or least: (enclosure, attained, where); None for an infinity."""
        found: list[tuple[Interval | None, bool, str]] = []
        for table in self.tables_of(order + 1):
            piece = self.pieces[table.piece]
            if table.vanishes:
                found.append((piece.derivative(order, _thin(hull(*table.window).middle)), True, "constant"))
                continue
            for zero, (before, after) in zip(table.zeros, pairwise(table.signs), strict=True):
                if before != after:
                    found.append((piece.derivative(order, self.refined(table, zero)), True, "critical"))
            for end, side in ((piece.lower, "-oo"), (piece.upper, "+oo")):
                if end in ("-oo", "oo"):
                    found.append(self._at_infinity(order, side, table))
        for index, entry in enumerate(self.breakpoints):
            value = _number(entry["value"])
            if order == 0:
                found.append((value, True, "breakpoint"))
            for one in self.steps[index][order]:
                found.append((one, self._exists(index, order), "limit"))
        return found

    def _exists(self, index: int, order: int) -> bool:
        """Whether f^(order) takes its one-sided limits at a breakpoint, as far as that is seen here."""
        if order == 0:
            return False
        value = _number(self.breakpoints[index]["value"])
        return _same(*self.steps[index][0]) and _same(self.steps[index][0][0], value) and _same(*self.steps[index][1])

    def _at_infinity(self, order: int, side: str, table: _Table) -> tuple[Interval | None, bool, str]:
        if table.period is not None:
            return None, False, "periodic"
        claimed = self.facts["limits" if order == 0 else "derivative_limits"]["value"][side]
        if claimed.get("type") != "number":
            return None, False, "no limit"
        text = claimed["exact"]
        if text in ("oo", "-oo"):
            return None, False, text
        return _claimed(claimed), False, "limit at infinity"


def _thin(x: Interval) -> Interval:
    return Interval(x.lo, x.lo)


def _same(one: Interval | None, other: Interval | None) -> bool:
    return one is not None and other is not None and one.overlaps(other)


def _cover(piece: _Piece, order: int, box: Interval, sign: int, budget: list[int]) -> None:
    """Show that f^(order) has this sign all over the box, by bisection."""
    if box.lo >= box.hi:
        return
    waiting = [box]
    while waiting:
        part = waiting.pop()
        budget[0] -= 1
        if budget[0] < 0:
            raise _Skipped(f"more than {_MAX_BOXES} boxes")
        try:
            found = piece.derivative(order, part).sign
        except OutsideDomain:
            found = None
        if found == sign:
            continue
        if found is not None:
            raise _Wrong(f"f^({order}) has the sign {found}, not {sign}, near {part.middle.lo:.8g}")
        middle = part.middle
        if not part.lo < middle.lo < part.hi or part.width < Decimal("1e-40"):
            raise _Skipped(f"the sign of f^({order}) near {part.lo:.8g} is not shown")
        here = piece.derivative(order, middle).sign
        if here is not None and here != sign:
            raise _Wrong(f"f^({order}) has the sign {here}, not {sign}, at {middle.lo:.8g}")
        waiting += [Interval(part.lo, middle.lo), Interval(middle.lo, part.hi)]


def _claimed(number: Mapping[str, Any]) -> Interval | None:
    """A number as claimed; None for an infinity. Closed form and decimal must agree."""
    if number["exact"] in ("oo", "-oo"):
        return None
    decimal = None
    if number["decimal"] is not None:
        center, radius = exact(Fraction(number["decimal"])), exact(Fraction(number["radius"]))
        decimal = hull(center - radius, center + radius)
    if number["exact"] is None:
        if decimal is None:
            raise _Skipped("a number without digits")
        return decimal
    closed = _number(number["exact"])
    if decimal is not None and not closed.overlaps(decimal):
        raise _Wrong(f"{number['exact']} is not {number['decimal']}")
    return closed


def _numbers_agree(claimed: Mapping[str, Any], found: Interval, what: str) -> None:
    value = _claimed(claimed)
    if value is None or not value.overlaps(found):
        raise _Wrong(f"{what} is {found.lo:.15g}, not {claimed['exact'] or claimed['decimal']}")


def _ends(certificate: _Certificate, claimed: Mapping[str, Any], order: int) -> str:
    """The two ends of a range, with whether they are attained, against all candidates."""
    certificate.need(order + 1)
    candidates = certificate.extremes(order)
    if any(where in ("no limit", "periodic") for _, _, where in candidates):
        raise _Skipped("the function has no limits at infinity")
    parts = claimed["components"]
    for end, number, attained in (
        (-1, parts[0]["inf"], parts[0]["inf_attained"]),
        (1, parts[-1]["sup"], parts[-1]["sup_attained"]),
    ):
        infinite = any(where == ("-oo" if end < 0 else "oo") for _, _, where in candidates)
        value = _claimed(number)
        if infinite != (value is None):
            raise _Wrong(f"whether the {'lower' if end < 0 else 'upper'} end is infinite")
        if value is None:
            continue
        finite = [(one, taken) for one, taken, where in candidates if one is not None]
        best = _extreme([one for one, _ in finite], end)
        if not best.overlaps(value):
            raise _Wrong(f"the end is {best.lo:.15g}, not {number['exact'] or number['decimal']}")
        near = [taken for one, taken in finite if one.overlaps(best)]
        if attained != any(near):
            raise _Wrong(f"whether the end {best.lo:.8g} is attained")
    return _GIVEN_TAILS


def _extreme(values: list[Interval], side: int) -> Interval:
    """An enclosure of the least (side -1) or greatest (1) of some numbers."""
    if side < 0:
        return Interval(min(value.lo for value in values), min(value.hi for value in values))
    return Interval(max(value.lo for value in values), max(value.hi for value in values))


def _lipschitz(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(2)
    jumps = [pairs[0] for pairs in certificate.steps if not _same(*pairs[0])]
    candidates = certificate.extremes(1)
    if jumps or any(where in ("oo", "-oo") for _, _, where in candidates):
        if claimed["exact"] != "oo":
            raise _Wrong("f jumps or f' is unbounded: the constant is infinite")
        return _GIVEN_TAILS
    if any(where == "no limit" for _, _, where in candidates):
        raise _Skipped("f' has no limits at infinity")
    sizes = [_size(value) for value, _, _ in candidates if value is not None]
    steepest = _extreme(sizes, 1)
    _numbers_agree(claimed, steepest, "sup |f'|")
    return _GIVEN_TAILS


def _size(value: Interval) -> Interval:
    return value if value.lo >= 0 else -value if value.hi <= 0 else Interval(Decimal(0), hull(value, -value).hi)


def _monotonicity(certificate: _Certificate, claimed: str) -> str:
    certificate.need(1)
    signs = {sign for table in certificate.tables_of(1) for sign in table.signs}
    for index, pairs in enumerate(certificate.steps):
        value = _number(certificate.breakpoints[index]["value"])
        for before, after in ((pairs[0][0], value), (value, pairs[0][1])):
            if before is None or after is None:
                raise _Skipped("a limit at a breakpoint is not known")
            signs.add(_step(before, after))
    word = "none"
    if signs <= {0}:
        word = "constant"
    elif signs <= {0, 1} or signs <= {0, -1}:
        direction = "increasing" if 1 in signs else "decreasing"
        flat = any(table.vanishes for table in certificate.tables_of(1))
        word = direction if flat else f"strictly {direction}"
    if word != claimed:
        raise _Wrong(f"f is {word}, not {claimed}")
    return _GIVEN_TAILS


def _step(before: Interval, after: Interval) -> int:
    """The sign of a step; two that overlap count as no step."""
    return 0 if before.overlaps(after) else (1 if after.lo > before.hi else -1)


def _convexity(certificate: _Certificate, claimed: str) -> str:
    certificate.need(2)
    bends = {sign for table in certificate.tables_of(2) for sign in table.signs}
    continuous = all(_same(*pairs[0]) for pairs in certificate.steps)
    for pairs in certificate.steps:
        left, right = pairs[1]
        if left is None or right is None:
            raise _Skipped("a slope at a breakpoint is not known")
        bends.add(_step(left, right))
    word = "none"
    if continuous:
        word = "affine" if bends <= {0} else "convex" if bends <= {0, 1} else "concave" if bends <= {0, -1} else "none"
    if word != claimed:
        raise _Wrong(f"f is {word}, not {claimed}")
    return _GIVEN_TAILS


def _points_agree(certificate: _Certificate, claimed: Mapping[str, Any], found: list[Interval], what: str) -> None:
    """The points of a set against those found here, one to one."""
    points = [_claimed(part["inf"]) for part in claimed["components"] if part["inf"] == part["sup"]]
    for value in found:
        if not any(point is not None and point.overlaps(value) for point in points):
            raise _Wrong(f"the {what} at {value.lo:.12g} is missing")
    for point in points:
        if point is not None and not any(point.overlaps(value) for value in found):
            raise _Wrong(f"there is no {what} at {point.lo:.12g}")


def _zeros(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(0)
    tables = certificate.tables_of(0)
    flat = [certificate.pieces[table.piece] for table in tables if table.vanishes]
    intervals = [part for part in claimed["components"] if part["inf"] != part["sup"]]
    if bool(flat) != bool(intervals):
        raise _Wrong("whether f is zero on an interval")
    found = [certificate.refined(table, zero) for table in tables for zero in table.zeros]
    ends = {end for piece in flat for end in (piece.lower, piece.upper)}
    for entry in certificate.breakpoints:
        if _number(entry["value"]).is_zero and entry["at"] not in ends:
            found.append(_number(entry["at"]))
    _points_agree(certificate, claimed, found, "zero")
    return _GIVEN_TAILS


def _inflections(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(2)
    tables = certificate.tables_of(2)
    found = [certificate.refined(t, zero) for t in tables for zero in t.zeros if zero.multiplicity % 2]
    for entry, pairs, (left, right) in zip(certificate.breakpoints, certificate.steps, pairwise(tables), strict=True):
        if left.signs[-1] * right.signs[0] < 0 and _same(*pairs[0]) and _same(*pairs[1]):
            found.append(_number(entry["at"]))
    _points_agree(certificate, claimed, found, "inflection")
    return _GIVEN_TAILS


def _dead_region(certificate: _Certificate, claimed: Mapping[str, Any]) -> str:
    certificate.need(1)
    flat = [certificate.pieces[table.piece] for table in certificate.tables_of(1) if table.vanishes]
    parts = claimed["components"]
    if not flat and not parts:
        return ""
    if not flat or not parts:
        raise _Wrong("whether f' is zero on an interval")
    for end, text in ((parts[0]["inf"], flat[0].lower), (parts[-1]["sup"], flat[-1].upper)):
        if text in ("-oo", "oo"):
            if end["exact"] != text:
                raise _Wrong(f"the dead region reaches to {text}")
        else:
            _numbers_agree(end, _number(text), "an end of the dead region")
    return ""


def _kinks(certificate: _Certificate, claimed: Sequence[Mapping[str, Any]]) -> str:
    found = [
        (entry, pairs)
        for entry, pairs in zip(certificate.breakpoints, certificate.steps, strict=True)
        if not (_same(*pairs[0]) and _same(pairs[0][0], _number(entry["value"])) and _same(*pairs[1]))
    ]
    if len(found) != len(claimed):
        raise _Wrong(f"{len(found)} kinks, not {len(claimed)}")
    for kink, (entry, pairs) in zip(claimed, found, strict=True):
        _numbers_agree(kink["at"], _number(entry["at"]), "a kink")
        slopes = pairs[1]
        for side, slope in zip(("left", "right"), slopes, strict=True):
            if slope is not None and kink[side].get("type") == "number":
                _numbers_agree(kink[side], slope, f"the slope on the {side} of {entry['at']}")
        jumps = not (_same(*pairs[0]) and _same(pairs[0][0], _number(entry["value"])))
        if jumps != (kink["clarke"] is None):
            raise _Wrong(f"whether f jumps at {entry['at']}")
        if kink["clarke"] is not None and None not in slopes:
            for end, direction in zip(kink["clarke"], (-1, 1), strict=True):
                _numbers_agree(
                    end, _extreme([s for s in slopes if s is not None], direction), "an end of the Clarke interval"
                )
    return ""


def _bounded(certificate: _Certificate, claimed: Mapping[str, bool]) -> str:
    certificate.need(1)
    ends = [where for _, _, where in certificate.extremes(0)]
    if "no limit" in ends or "periodic" in ends:
        raise _Skipped("f has no limits at infinity")
    if claimed["below"] != ("-oo" not in ends) or claimed["above"] != ("oo" not in ends):
        raise _Wrong("whether f is bounded")
    return _GIVEN_TAILS


def _continuity(certificate: _Certificate, claimed: int | str) -> str:
    order: int | str = "infinity"
    for entry, pairs in zip(certificate.breakpoints, certificate.steps, strict=True):
        values = [pairs[0], (pairs[0][0], _number(entry["value"])), *pairs[1:]]
        for k, pair in zip((-1, -1, 0, 1), values, strict=True):
            if not _same(*pair):
                order = k if order == "infinity" else min(int(order), k)
                break
        else:
            if claimed != "infinity" and order == "infinity":
                raise _Skipped("derivatives beyond the second are not compared")
    if order != claimed:
        raise _Wrong(f"the continuity class is {order}, not {claimed}")
    return "no breakpoint" if not certificate.breakpoints else "limits of f, f' and f''"


_FACTS: Mapping[str, Callable[[_Certificate, Any], str]] = {
    "continuity_class": _continuity,
    "kinks": _kinks,
    "range": lambda certificate, value: _ends(certificate, value, 0),
    "derivative_range": lambda certificate, value: _ends(certificate, value, 1),
    "zeros": _zeros,
    "monotonicity": _monotonicity,
    "convexity": _convexity,
    "inflections": _inflections,
    "lipschitz": _lipschitz,
    "bounded": _bounded,
    "dead_region": _dead_region,
}
