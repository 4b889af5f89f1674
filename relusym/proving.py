"""Claims about an activation, as people write them, settled: proved, refuted with a witness, or unknown.

lipschitz <= 1.5            a number among the facts, compared
range subset [-1, oo)       also range == (0, 1), derivative_range subset [0, 1]
convex, strictly increasing, odd, continuous, differentiable, smooth, bounded below, ...
f(x) - f(-x) = x, f' >= 0, 0 <= f' < 1, f(x) = max(alpha*x, x)
                            equations and inequalities for all x; f, f', f'' alone mean f(x), f'(x), f''(x)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import sympy
from sympy import Expr

from relusym.activation import Activation, Number, x
from relusym.analysis import Analysis, analyse
from relusym.balls import sign
from relusym.calculus.derivatives import derivative
from relusym.calculus.sets import compare, words
from relusym.calculus.sign_tables import tables
from relusym.errors import InvalidActivation, InvalidRequest, Undecided
from relusym.facts import Absent, Certificate, Enclosed, Fact, Interval, Real, RealSet, Value, Verdict
from relusym.parsing import MAX_CHARACTERS, parse
from relusym.pieces import Pieces, joined, split, value_at

_RELATIONS = {
    "<=": (-1, 0),
    ">=": (0, 1),
    "<": (-1,),
    ">": (1,),
    "==": (0,),
    "=": (0,),
}
_RELATION = re.compile(r"<=|>=|==|=|<|>")
_SET_CLAIM = re.compile(r"\s*(range|derivative_range)\s*(subset of|subset|==|=|⊆)\s*(.+)")
_REFERENCE = re.compile(r"(?<![\w'])f('{0,3})(?![\w'])")
_NUMBERS = (
    "lipschitz",
    "zero_probability",
    "derivative_zero_probability",
    "gaussian_mean",
    "gaussian_second_moment",
    "derivative_second_moment",
    "gain_forward",
    "gain_backward",
)


def prove(activation: Activation, claim: str, parameters: Mapping[str, Number] | None = None) -> Fact:
    """Settle a claim at these values of the parameters (defaults for the rest).

    A refuted fact carries the certificate "witness", whose evidence says where the claim fails. Raises
    `InvalidRequest` for a claim that is not understood.
    """
    if len(claim) > MAX_CHARACTERS:
        raise InvalidRequest(f"the claim has {len(claim)} characters; at most {MAX_CHARACTERS} are read")
    analysis = analyse(activation, parameters)
    text = " ".join(claim.split())
    settle = _reader(text)
    try:
        return settle(analysis, text)
    except Undecided as reason:
        return Fact(text, Verdict.UNKNOWN, Absent(str(reason)), "not settled")


def _reader(text: str) -> Callable[[Analysis, str], Fact]:
    if text in _PROPERTIES:
        return _property
    if _SET_CLAIM.fullmatch(text):
        return _set_claim
    if _RELATION.search(text):
        named = {part.strip() for part in _RELATION.split(text)} & set(_NUMBERS)
        return _number_claim if named else _comparison
    raise InvalidRequest(
        f"the claim {text!r} is not understood; write one of: {', '.join(_PROPERTIES)}; lipschitz <= 3/2; "
        "range subset [-1, oo); f(x) - f(-x) = x; f' >= 0"
    )


def _proved(claim: str, method: str) -> Fact:
    return Fact(claim, Verdict.PROVED, True, method)


def _refuted(claim: str, witness: str, method: str) -> Fact:
    return Fact(claim, Verdict.REFUTED, False, method, Certificate("witness", {"witness": witness}))


# --- equations and inequalities in f, f', f'' and x ---


@dataclass(frozen=True)
class _Link:
    """left - right, in pieces, and the signs it may have; `chosen` where values at kinks are left out."""

    text: str
    difference: Pieces
    allowed: tuple[int, ...]
    without_breakpoints: bool


def _comparison(analysis: Analysis, claim: str) -> Fact:
    for link in _links(analysis, claim):
        witness = _violation(link)
        if witness is not None:
            return _refuted(claim, witness, "a point at which it fails")
    return _proved(claim, "signs of the difference of both sides on every piece, and at the breakpoints")


def _violation(link: _Link) -> str | None:
    """Where the difference of both sides has a sign that the claim forbids."""
    pieces = link.difference
    for table in tables(pieces):
        for cell in table.cells:
            if cell.sign not in link.allowed:
                return f"x = {cell.inside}: {link.text} fails, left - right is {value_at(pieces, cell.inside).evalf(6)}"
        for zero in table.zeros:
            if 0 not in link.allowed:
                return f"x = {words(zero.at)}: {link.text} fails, both sides are equal"
    if not link.without_breakpoints:
        for at, value in zip(pieces.breakpoints, pieces.values, strict=True):
            direction = sign(value)
            if direction is None:
                raise Undecided(f"the sign of {value} is not known")
            if direction not in link.allowed:
                return f"x = {at}: {link.text} fails, left - right is {value.evalf(6)}"
    return None


def _links(analysis: Analysis, claim: str) -> Iterator[_Link]:
    """The comparisons of a chain such as 0 <= f' < 1."""
    sides = [part.strip() for part in _RELATION.split(claim)]
    relations = _RELATION.findall(claim)
    exprs = [_expression(analysis, side) for side in sides]
    for (left, right), relation, (one, other) in zip(pairwise(exprs), relations, pairwise(sides), strict=True):
        difference = _pieces(left - right, claim)
        has_slopes = any(match.group(1) for side in (one, other) for match in _REFERENCE.finditer(side))
        yield _Link(f"{one} {relation} {other}", difference, _RELATIONS[relation], has_slopes)


def _pieces(expr: Expr, claim: str) -> Pieces:
    try:
        return split(Activation("claim", expr))
    except InvalidActivation as error:
        raise Undecided(f"{claim} cannot be written in pieces: {error}") from None


def _expression(analysis: Analysis, text: str) -> Expr:
    """One side of a comparison: the formula grammar, with f, f' and f'' as functions."""
    substitutes: dict[str, Expr] = {}
    plain, position = "", 0
    for match in _REFERENCE.finditer(text):
        if match.start() < position:
            continue  # inside an argument that was read already
        argument, end = _argument(text, match.end())
        name = f"value{len(substitutes)}of"
        inner = x if argument is None else _expression(analysis, argument)
        substitutes[name] = _function(analysis, len(match.group(1))).xreplace({analysis.pieces.variable: inner})
        plain += text[position : match.start()] + name
        position = end
    formula = parse(plain + text[position:], name="claim")
    given = {symbol.name: value for symbol, value in analysis.parameters.items()}
    values = {
        parameter.symbol: substitutes.get(parameter.name, given.get(parameter.name)) for parameter in formula.parameters
    }
    unknown = [symbol.name for symbol, value in values.items() if value is None]
    if unknown:
        known = ", ".join(["x", "f", *given])
        raise InvalidRequest(
            f"the claim uses {', '.join(unknown)}, for which {analysis.activation.name} has no value; known: {known}"
        )
    return formula.expr.xreplace(values)


def _argument(text: str, start: int) -> tuple[str | None, int]:
    """What stands in the parentheses that open at `start`, and where they end; None without parentheses."""
    if not text[start:].startswith("("):
        return None, start
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] == "(") - (text[position] == ")")
        if depth == 0:
            return text[start + 1 : position], position + 1
    raise InvalidRequest(f"a parenthesis is not closed in {text!r}")


def _function(analysis: Analysis, order: int) -> Expr:
    """F or a derivative as one expression, with the parameters' values."""
    if order == 0:
        return analysis.activation.expr.xreplace(dict(analysis.parameters))
    return joined(derivative(analysis.pieces, order))


# --- numbers and sets among the facts ---


def _number_claim(analysis: Analysis, claim: str) -> Fact:
    sides = [part.strip() for part in _RELATION.split(claim)]
    relations = _RELATION.findall(claim)
    numbers = [_known_number(analysis, side) for side in sides]
    for (left, right), relation, (one, other) in zip(pairwise(numbers), relations, pairwise(sides), strict=True):
        if compare(left, right) not in _RELATIONS[relation]:
            return _refuted(claim, _why_not(analysis, one, other, left, right), f"{one} is {_decimal(left)}")
    name = next(side for side in sides if side in _NUMBERS)
    return _proved(claim, f"{name} is {_decimal(numbers[sides.index(name)])}: {analysis.facts[name].method}")


def _known_number(analysis: Analysis, text: str) -> Real:
    if text in _NUMBERS:
        fact = analysis.facts[text]
        if not isinstance(fact.value, Expr | Enclosed):
            raise Undecided(fact.value.reason if isinstance(fact.value, Absent) else f"{text} is no number")
        return fact.value
    if text in ("oo", "-oo"):
        return sympy.oo if text == "oo" else -sympy.oo
    number = _expression(analysis, text)
    if not number.is_number:
        raise InvalidRequest(f"{text!r} is no number; compare {', '.join(_NUMBERS)} with numbers")
    return number


def _why_not(analysis: Analysis, one: str, other: str, left: Real, right: Real) -> str:
    """For a Lipschitz bound a point with a steeper slope; else the number itself."""
    if "lipschitz" not in (one, other):
        return f"{one} = {_decimal(left)}, {other} = {_decimal(right)}"
    bound = right if one == "lipschitz" else left
    jumps = [
        at
        for at in analysis.pieces.breakpoints
        if any(kink.at == at and kink.clarke is None for kink in analysis.kinks)
    ]
    if jumps:
        return f"f jumps at x = {jumps[0]}"
    if isinstance(bound, Expr):
        slope = derivative(analysis.pieces)
        for piece in slope.pieces:
            for expr in (piece.expr - bound, -piece.expr - bound):
                steep = Pieces(slope.variable, (type(piece)(expr, piece.lower, piece.upper),), (), ())
                for cell in (cell for table in tables(steep) for cell in table.cells if cell.sign > 0):
                    at = cell.inside
                    return f"x = {at}: |f'(x)| = {abs(piece.expr.subs(slope.variable, at)).evalf(10)} > {bound}"
    return f"the Lipschitz constant is {_decimal(left if one == 'lipschitz' else right)}"


def _set_claim(analysis: Analysis, claim: str) -> Fact:
    match = _SET_CLAIM.fullmatch(claim)
    assert match is not None
    name, relation, text = match.groups()
    wanted = _set(analysis, text)
    fact = analysis.facts[name]
    if not isinstance(fact.value, RealSet):
        raise Undecided(fact.value.reason if isinstance(fact.value, Absent) else f"{name} is not known")
    outside = _outside(fact.value, wanted)
    if outside is not None:
        return _refuted(claim, f"{outside} belongs to the {name}, not to {text}", f"the {name} is known completely")
    if relation in ("==", "="):
        missing = _outside(wanted, fact.value)
        if missing is not None:
            return _refuted(
                claim, f"{missing} belongs to {text}, but not to the {name}", f"the {name} is known completely"
            )
    return _proved(claim, fact.method)


def _set(analysis: Analysis, text: str) -> RealSet:
    """Intervals such as [-1, oo) and points such as {0}, joined by `union`."""
    parts = []
    for part in re.split(r"\bunion\b|∪", text):
        body = part.strip()
        if len(body) > 2 and body[0] == "{" and body[-1] == "}":
            number = _known_number(analysis, body[1:-1].strip())
            parts.append(Interval(number, number, True, True))
        elif len(body) > 4 and body[0] in "[(" and body[-1] in "])" and body.count(",") == 1:
            low, high = (_known_number(analysis, end.strip()) for end in body[1:-1].split(","))
            if compare(low, high) > 0:
                raise InvalidRequest(f"{body} is no interval: {words(low)} > {words(high)}")
            parts.append(Interval(low, high, body[0] == "[", body[-1] == "]"))
        else:
            raise InvalidRequest(f"{body!r} is no set; write [0, 1), (-oo, oo), {{0}}, joined by `union`")
    return RealSet(tuple(parts))


def _outside(one: RealSet, other: RealSet) -> str | None:
    """In words, a number of one set that is not in the other; None where there is none."""
    for part in one.components:
        holder = next((whole for whole in other.components if _meets(part, whole)), None)
        if holder is None:
            return f"a number in {_interval(part)}" if part.inf is not part.sup else _decimal(part.inf)
        low, high = compare(part.inf, holder.inf), compare(holder.sup, part.sup)
        if low < 0 or (low == 0 and part.inf_attained and not holder.inf_attained):
            return _decimal(part.inf) if part.inf_attained else f"a number just above {_decimal(part.inf)}"
        if high < 0 or (high == 0 and part.sup_attained and not holder.sup_attained):
            return _decimal(part.sup) if part.sup_attained else f"a number just below {_decimal(part.sup)}"
    return None


def _meets(part: Interval, whole: Interval) -> bool:
    return compare(part.inf, whole.sup) <= 0 and compare(whole.inf, part.sup) <= 0


def _interval(part: Interval) -> str:
    opening, closing = "[" if part.inf_attained else "(", "]" if part.sup_attained else ")"
    return f"{opening}{_decimal(part.inf)}, {_decimal(part.sup)}{closing}"


def _decimal(number: Real) -> str:
    if isinstance(number, Enclosed):
        return f"{float(number.enclose(60).mid()):.12g}..."
    return str(number) if sympy.count_ops(number) <= 3 or number.is_infinite else f"{number.evalf(12)}..."


# --- properties with a name ---


def _property(analysis: Analysis, claim: str) -> Fact:
    name, accepted = _PROPERTIES[claim]
    fact = analysis.facts[name]
    if fact.verdict is Verdict.UNKNOWN:
        return Fact(claim, Verdict.UNKNOWN, fact.value, fact.method)
    holds = accepted(fact.value)
    if holds:
        return _proved(claim, fact.method)
    return _refuted(claim, _counterexample(analysis, claim, name), fact.method)


def _counterexample(analysis: Analysis, claim: str, name: str) -> str:
    pieces = analysis.pieces
    if name == "convexity":
        return _bend_against(analysis, claim)
    if name == "monotonicity":
        wanted = -1 if "decreasing" in claim else 1
        return _step_against(pieces, wanted, strict="strictly" in claim)
    if name == "parity":
        return _mirrored(analysis, -1 if claim == "odd" else 1)
    return f"{name.replace('_', ' ')}: {_shown(analysis.facts[name])}"


def _shown(fact: Fact) -> str:
    return _plain(fact.value)


def _plain(value: Value) -> str:
    """A value of a fact without the brackets of Python, but around the ends of an interval."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_ends(part) if key == 'clarke' else _plain(part)}" for key, part in value.items())
    return "; ".join(map(_plain, value)) if isinstance(value, tuple) else str(value)


def _ends(value: Value) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, tuple) else str(value)


def _bend_against(analysis: Analysis, claim: str) -> str:
    """Two points and their middle at which f lies on the wrong side of the chord."""
    pieces = analysis.pieces
    wanted = {"convex": (1,), "concave": (-1,), "affine": (1, -1)}[claim]
    points = [cell.inside for table in tables(pieces, 2) for cell in table.cells] + list(pieces.breakpoints)
    for point in points:
        for step in (sympy.Rational(1, 2**k) for k in range(12)):
            middle, left, right = (value_at(pieces, at) for at in (point, point - step, point + step))
            bend = sign(left + right - 2 * middle)
            if bend and (bend not in wanted or claim == "affine"):
                relation = ">" if bend < 0 else "<"
                return (
                    f"f({point}) = {middle.evalf(10)} {relation} {((left + right) / 2).evalf(10)}, "
                    f"the mean of f at {point - step} and {point + step}"
                )
    raise Undecided("no chord found that shows it")


def _step_against(pieces: Pieces, wanted: int, *, strict: bool) -> str:
    """Two points between which f goes the wrong way."""
    points = sorted(
        {cell.inside for table in tables(pieces, 1) for cell in table.cells} | set(pieces.breakpoints), key=float
    )
    points += [point + step for point in points for step in (sympy.Rational(1, 8), -sympy.Rational(1, 8))]
    points.sort(key=float)
    for one, other in pairwise(points):
        change = sign(value_at(pieces, other) - value_at(pieces, one))
        if change is not None and (change == -wanted or (strict and change == 0 and one != other)):
            return f"f({one}) = {value_at(pieces, one).evalf(10)}, f({other}) = {value_at(pieces, other).evalf(10)}"
    raise Undecided("no two points found that show it")


def _mirrored(analysis: Analysis, factor: int) -> str:
    for point in (sympy.Integer(1), sympy.Rational(1, 3), sympy.Integer(5), sympy.Integer(0)):
        right, left = value_at(analysis.pieces, point), value_at(analysis.pieces, -point)
        if sign(left - factor * right):
            return f"f({point}) = {right.evalf(10)}, f({-point}) = {left.evalf(10)}"
    raise Undecided("no point found that shows it")


def _is(*accepted: object) -> Callable[[object], bool]:
    return lambda value: value in accepted


def _has(*keys: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, Mapping) and all(value[key] is True for key in keys)


_INCREASING, _DECREASING = (
    ("strictly increasing", "increasing", "constant"),
    ("strictly decreasing", "decreasing", "constant"),
)

_PROPERTIES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "convex": ("convexity", _is("convex", "affine")),
    "concave": ("convexity", _is("concave", "affine")),
    "affine": ("convexity", _is("affine")),
    "increasing": ("monotonicity", _is(*_INCREASING)),
    "decreasing": ("monotonicity", _is(*_DECREASING)),
    "strictly increasing": ("monotonicity", _is("strictly increasing")),
    "strictly decreasing": ("monotonicity", _is("strictly decreasing")),
    "monotone": ("monotonicity", _is(*_INCREASING, *_DECREASING)),
    "odd": ("parity", _is("odd")),
    "even": ("parity", _is("even")),
    "continuous": ("continuity_class", lambda value: value == "infinity" or (isinstance(value, int) and value >= 0)),
    "differentiable": ("kinks", _is(())),
    "smooth": ("continuity_class", _is("infinity")),
    "bounded": ("bounded", _has("below", "above")),
    "bounded below": ("bounded", _has("below")),
    "bounded above": ("bounded", _has("above")),
    "zero-centred": ("zero_centred", _is(True)),
    "saturating": ("saturates", lambda value: isinstance(value, Mapping) and any(value.values())),
    "injective": ("monotonicity", _is("strictly increasing", "strictly decreasing")),
}
