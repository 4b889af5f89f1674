"""Parity and functional equations.

A claim is first looked at on balls, where most false ones end; what is left is proved: the difference of both
sides is zero as a fraction of polynomials in exponentials, or its derivative is, and a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sympy
from flint import arb
from sympy import Expr, S, Symbol

from relusym import balls
from relusym.balls import compiled, precision
from relusym.calculus.bounds import simplest
from relusym.calculus.forms import field_of
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.sign_tables import sign_table
from relusym.calculus.subdifferentials import is_continuous_at
from relusym.domains import interior_points
from relusym.errors import Undecided
from relusym.pieces import Pieces, piece_at, value_at
from relusym.signs import equal, sign_of, sort_exactly

BITS = 128


def vanishes(expr: Expr, variable: Symbol, lower: Expr, upper: Expr) -> bool:
    """Whether a smooth expression is proved to be zero everywhere in the open interval.

    By algebra in its exponentials; or since its derivative is zero, and a value. False says only that no
    proof was found.
    """
    if expr.is_zero:
        return True
    try:
        field, element = field_of(expr, variable)
        if field.is_zero(element):
            return True
        if not field.is_zero(field.derivative(element)):
            return False
    except Undecided:
        return False
    return balls.sign(expr.subs(variable, interior_points(lower, upper)[0])) == 0


@dataclass(frozen=True)
class _Cell:
    """An interval of the right half line, the branch there, and the branch at -x, as a function of x."""

    lower: Expr
    upper: Expr
    here: Expr
    mirrored: Expr


def _cells(pieces: Pieces) -> tuple[list[_Cell], list[Expr]]:
    """The right half line cut at every breakpoint and at the mirror image of each, and these cuts."""
    x = pieces.variable
    cuts = []
    for place in pieces.breakpoints:
        sign = sign_of(place)
        if sign is None:
            raise Undecided(f"the sign of the breakpoint {place} is not known")
        if sign:
            cuts.append(sign * place)
    cuts = sort_exactly(cuts)
    cells = []
    for lower, upper in pairwise([S.Zero, *cuts, S.Infinity]):
        inside = interior_points(lower, upper)[0]
        here, mirrored = (piece_at(pieces, point).expr for point in (inside, -inside))
        cells.append(_Cell(lower, upper, here, mirrored.xreplace({x: -x})))
    return cells, cuts


@dataclass(frozen=True)
class _Sample:
    """f on balls at a point of the right half line and at its mirror image."""

    at: Expr
    x: arb
    here: arb
    mirrored: arb


def _samples(pieces: Pieces) -> list[_Sample]:
    """Points of all cells and all cuts; none where parameters have no values."""
    if _parameters(pieces):
        return []
    cells, cuts = _cells(pieces)
    points = [point for cell in cells for point in interior_points(cell.lower, cell.upper)[:4]]
    points += [*cuts, S.Zero]
    samples = []
    with precision(BITS):
        for point in points:
            balls = (compiled(value)() for value in (point, value_at(pieces, point), value_at(pieces, -point)))
            samples.append(_Sample(point, *balls))
    return samples


def _parameters(pieces: Pieces) -> set[Symbol]:
    exprs = [*pieces.breakpoints, *pieces.values, *(piece.expr for piece in pieces.pieces)]
    symbols: set[Symbol] = set().union(*(expr.free_symbols for expr in exprs))
    return symbols - {pieces.variable}


def parity(pieces: Pieces) -> str:
    """One of even, odd and neither, values at breakpoints included; the zero function is even.

    Neither has two witnesses on balls, the others are proved in every piece. Raises `Undecided` where
    neither a witness nor a proof is found.
    """
    samples = _samples(pieces)
    left = [
        (name, sign)
        for name, sign in (("even", 1), ("odd", -1))
        if all(_may_be_zero(sample.here - sign * sample.mirrored) for sample in samples)
    ]
    if not left:
        return "neither"
    for name, sign in left:
        if _mirrors(pieces, sign, lambda x: S.Zero):
            return name
    raise Undecided(f"whether f is {' or '.join(name for name, _ in left)} is not settled")


def _mirrors(pieces: Pieces, sign: int, right: Callable[[Expr], Expr]) -> bool:
    """Whether f(x) - sign f(-x) = right(x) is proved for all x >= 0."""
    cells, cuts = _cells(pieces)
    x = pieces.variable
    return all(
        vanishes(cell.here - sign * cell.mirrored - right(x), x, cell.lower, cell.upper) for cell in cells
    ) and all(
        equal(value_at(pieces, cut) - sign * value_at(pieces, -cut), right(cut)) is True for cut in (*cuts, S.Zero)
    )


def _may_be_zero(ball: arb) -> bool:
    return not ball.is_finite() or bool(ball.contains(0))


def identities(pieces: Pieces) -> tuple[str, ...]:
    """Functional and differential equations of f, of a small family, each proved; in text.

    Reflections, idempotence, homogeneity, and first-order equations f' = F(f). One that holds for some
    pieces only says so. What is not listed need not be false.
    """
    found: list[str] = []
    for search in (_reflections_in_words, _idempotence, _homogeneity, _differential_equations):
        try:
            found += search(pieces)
        except Undecided:
            continue
    return tuple(found)


def _text(number: Expr) -> str:
    """A constant, as a decimal with dots where its exact form is long."""
    return str(number) if sympy.count_ops(number) <= 8 else f"{str(number.evalf(25))[:17]}..."


def _times(number: Expr, what: str) -> str:
    if number == 1:
        return what.removeprefix("(").removesuffix(")") if what.startswith("(1 - ") and what.endswith("2)") else what
    if number == -1:
        return f"-{what}"
    return (
        f"({_text(number)})*{what}"
        if number.is_Add or (number.is_Rational and number.q != 1)
        else (f"{_text(number)}*{what}")
    )


def _plus(number: Expr) -> str:
    sign = sign_of(number)
    if sign == 0:
        return ""
    return f" - {_text(-number)}" if sign == -1 else f" + {_text(number)}"


@dataclass(frozen=True)
class Reflection:
    """f(x) - sign f(-x) = factor * what, for all x; `of` names what: "1", "x" or "|x|" ("0" where f is even or odd)."""

    sign: int
    factor: Expr
    of: str
    text: str


def reflections(pieces: Pieces) -> tuple[Reflection, ...]:
    """The identities between f(x) and f(-x) of this family that are proved; none where parameters have no values.

    Raises `Undecided` where a value is not settled.
    """
    return tuple(_reflections(pieces))


def _reflections(pieces: Pieces) -> Iterator[Reflection]:
    x = pieces.variable
    samples = _samples(pieces)
    try:
        known = parity(pieces)
    except Undecided:
        known = ""
    if known == "even":
        yield Reflection(1, S.Zero, "0", f"f(-{x}) = f({x})")
    if known == "odd":
        yield Reflection(-1, S.Zero, "0", f"f(-{x}) = -f({x})")
    if not samples or known in ("even", "odd"):
        return
    families: list[tuple[int, Callable[[arb], arb], Callable[[Expr], Expr], str, str]] = [
        (1, lambda ball: ball, lambda at: at, "x", f"f({x}) - f(-{x})"),
        (-1, lambda ball: ball / ball if ball != 0 else arb(1), lambda at: S.One, "1", f"f({x}) + f(-{x})"),
        (-1, lambda ball: ball, lambda at: at, "|x|", f"f({x}) + f(-{x})"),
    ]
    for sign, ball_of, shape, of, left in families:
        with precision(BITS):
            first = samples[0]
            factor = (first.here - sign * first.mirrored) / ball_of(first.x)
            holds = all(
                _may_be_zero(sample.here - sign * sample.mirrored - factor * ball_of(sample.x)) for sample in samples
            )
        if not holds or factor.contains(0):
            continue
        constant = simplest((value_at(pieces, first.at) - sign * value_at(pieces, -first.at)) / shape(first.at))
        if _mirrors(pieces, sign, lambda at, shape=shape, constant=constant: constant * shape(at)):  # type: ignore[misc]
            right = _text(constant) if of == "1" else _times(constant, of.replace("x", str(x)))
            yield Reflection(sign, constant, of, f"{left} = {right}")


def _reflections_in_words(pieces: Pieces) -> Iterator[str]:
    return (reflection.text for reflection in _reflections(pieces))


def _idempotence(pieces: Pieces) -> Iterator[str]:
    """f(f(x)) = f(x): every branch is x, or a line into the region where f(y) = y."""
    x = pieces.variable
    for value in pieces.values:
        if equal(value_at(pieces, value), value) is not True:
            return
    for piece in pieces.pieces:
        if piece.expr == x:
            continue
        if not piece.expr.has(x):
            if equal(value_at(pieces, piece.expr), piece.expr) is not True:
                return
            continue
        if piece.expr.diff(x).has(x):
            return
        ends = [one_sided_limit(piece, end, x) for end in (piece.lower, piece.upper)]
        if not _is_fixed_between(pieces, *ends):
            return
    yield f"f(f({x})) = f({x})"


def _is_fixed_between(pieces: Pieces, one: Expr, other: Expr) -> bool:
    """Whether f(y) = y for all y strictly between two numbers."""
    lower, upper = (one, other) if sign_of(other - one) == 1 else (other, one)
    below = [place for place in pieces.breakpoints if sign_of(place - lower) != 1]
    inside = [place for place in pieces.breakpoints if place not in below and sign_of(upper - place) == 1]
    span = pieces.pieces[len(below) : len(below) + len(inside) + 1]
    return all(piece.expr == pieces.variable for piece in span) and all(
        equal(value_at(pieces, place), place) is True for place in inside
    )


def _homogeneity(pieces: Pieces) -> Iterator[str]:
    x = pieces.variable
    if any(sign_of(place) != 0 for place in pieces.breakpoints) or sign_of(value_at(pieces, S.Zero)) != 0:
        return
    slopes = [piece.expr.diff(x) for piece in pieces.pieces]
    if all(
        not slope.has(x) and equal(slope * x, piece.expr) is True
        for slope, piece in zip(slopes, pieces.pieces, strict=True)
    ):
        yield f"f(c*{x}) = c*f({x}) for c > 0"


# f' = F(f) with one constant k, found from f, f', f'' at one point.


@dataclass(frozen=True)
class _Equation:
    """k from (f, f', f''), what f' then is (of f, |f| and k), and the text of the right side."""

    constant: Callable[[Any, Any, Any], Any]
    slope: Callable[[Expr, Expr, Expr], Expr]
    text: Callable[[str, Expr], str]


_EQUATIONS = (
    _Equation(
        lambda f, d, c: d / (f * (1 - f)),
        lambda f, a, k: k * f * (1 - f),
        lambda x, k: _times(k, f"f({x})*(1 - f({x}))"),
    ),
    _Equation(
        lambda f, d, c: d / (1 - f**2), lambda f, a, k: k * (1 - f**2), lambda x, k: _times(k, f"(1 - f({x})**2)")
    ),
    _Equation(
        lambda f, d, c: d / (1 - abs(f)) ** 2,
        lambda f, a, k: k * (1 - a) ** 2,
        lambda x, k: _times(k, f"(1 - |f({x})|)**2"),
    ),
    _Equation(
        lambda f, d, c: c / (d * (1 - d)),
        lambda f, a, k: 1 - sympy.exp(-k * f),
        lambda x, k: f"1 - exp({_times(-k, f'f({x})')})",
    ),
)


def _differential_equations(pieces: Pieces) -> Iterator[str]:
    if _parameters(pieces):
        return
    x = pieces.variable
    signs = None
    for equation in _EQUATIONS:
        if not (constant := _common_constant(pieces, equation)):
            continue
        signs = signs or [_branch_sign(piece.expr, x, piece.lower, piece.upper) for piece in pieces.pieces]
        if all(
            vanishes(
                piece.expr.diff(x) - equation.slope(piece.expr, sign * piece.expr, constant),
                x,
                piece.lower,
                piece.upper,
            )
            for piece, sign in zip(pieces.pieces, signs, strict=True)
        ) and all(is_continuous_at(pieces, place) for place in pieces.breakpoints):
            # F is continuous: where f is, the one-sided slopes agree with it at the breakpoints too.
            yield f"f'({x}) = {equation.text(str(x), constant)}"
    for piece in pieces.pieces:
        yield from _linear_equation(pieces, piece.expr, piece.lower, piece.upper)


def _branch_sign(expr: Expr, x: Symbol, lower: Expr, upper: Expr) -> Expr:
    """The factor that makes |f| of f; for a branch that changes its sign, NaN."""
    try:
        signs = set(sign_table(expr, x, lower, upper).signs)
    except Undecided:
        return S.NaN
    return sympy.Integer(signs.pop()) if len(signs) == 1 else S.NaN


def _common_constant(pieces: Pieces, equation: _Equation) -> Expr | None:
    """The constant that fits all sampled points on balls, exact; None where none does."""
    x = pieces.variable
    common: arb | None = None
    place, chosen = S.Zero, [S.Zero] * 3
    with precision(BITS):
        for piece in pieces.pieces:
            derivatives = [piece.expr, piece.expr.diff(x), piece.expr.diff(x, 2)]
            if not piece.expr.has(x):
                return None
            functions = [compiled(expr, x) for expr in derivatives]
            for point in interior_points(piece.lower, piece.upper)[:4]:
                at = compiled(point)()
                ball = equation.constant(*(function(at) for function in functions))
                if not ball.is_finite():
                    continue
                if common is None:
                    common, place, chosen = ball, point, derivatives
                elif not common.overlaps(ball):
                    return None
    if common is None or common.contains(0):
        return None
    try:
        return simplest(equation.constant(*(expr.subs(x, place) for expr in chosen)))
    except Undecided:
        return None


def _linear_equation(pieces: Pieces, expr: Expr, lower: Expr, upper: Expr) -> Iterator[str]:
    """F' = a f + c on one piece, where f is no line."""
    x = pieces.variable
    slope, curvature = expr.diff(x), expr.diff(x, 2)
    if not slope.has(x):
        return
    first, second = interior_points(lower, upper)[:2]
    with precision(BITS):
        above, below = compiled(curvature, x), compiled(slope, x)
        ratios = [above(at) / below(at) for at in (compiled(first)(), compiled(second)())]
    if not all(ratio.is_finite() for ratio in ratios) or not ratios[0].overlaps(ratios[1]):
        return
    factor = simplest((curvature / slope).subs(x, first))
    if sign_of(factor) in (0, None):
        return
    constant = simplest((slope - factor * expr).subs(x, first))
    if vanishes(slope - factor * expr - constant, x, lower, upper):
        where = _where(x, lower, upper)
        yield f"{where}f'({x}) = {_times(factor, f'f({x})')}{_plus(constant)}"


def _where(x: Symbol, lower: Expr, upper: Expr) -> str:
    if lower is -S.Infinity and upper is S.Infinity:
        return ""
    if lower is -S.Infinity:
        return f"for {x} < {upper}: "
    if upper is S.Infinity:
        return f"for {x} > {lower}: "
    return f"for {lower} < {x} < {upper}: "
