"""f' as a function of f: what a backward pass needs that has stored the output and not the input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

import sympy
from sympy import Expr, Symbol

from relusym.activation import Activation
from relusym.balls import enclosure
from relusym.calculus.derivatives import derivative
from relusym.calculus.inverses import piece_inverse
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.sign_tables import SignTable, sign_table
from relusym.calculus.subdifferentials import Policy
from relusym.calculus.symmetry import vanishes
from relusym.deadline import within
from relusym.domains import interior_points
from relusym.errors import InvalidRequest, Undecided
from relusym.pieces import Piece, Pieces, split
from relusym.signs import equal, sign_of

_SECONDS = 2.0
_BITS = 128


def slope_by_output(activation: Activation, values: Mapping[Symbol, Expr], policy: Policy = "least-norm") -> Activation:
    """The activation g with g(f(x)) = f'(x) for every x, kinks with their chosen slope included; exact.

    Where f has no value, outside its range and in the gap of a jump, g continues with the value next to it, so that
    an output which rounding took there has the slope of its neighbours. `values` are those of all parameters. Raises
    `InvalidRequest` where f' is no function of f, with two inputs that show it, and where no closed form is found.
    """
    chosen = tuple(policy.items()) if isinstance(policy, Mapping) else policy
    return _slope_by_output(activation, tuple(values.items()), chosen)


@lru_cache(maxsize=128)
def _slope_by_output(activation: Activation, given: tuple[tuple[Symbol, Expr], ...], chosen: Any) -> Activation:
    values = dict(given)
    policy = dict(chosen) if isinstance(chosen, tuple) else chosen
    stated = {
        sympy.sympify(at).xreplace(values): sympy.sympify(slope).xreplace(values)
        for at, slope in activation.subgradients.items()
    }
    pieces = split(activation, values)
    images, levels = _images_and_levels(activation.name, pieces, derivative(pieces, 1, policy=policy, stated=stated))
    return Activation(
        name=activation.name,
        expr=_as_piecewise(_continued(activation.name, images, levels, pieces.variable), pieces.variable),
        inputs=activation.inputs,
        source=activation.source,
    )


@dataclass(frozen=True)
class _Image:
    """The open interval of values of f on a piece where it is strictly monotone, and the slope there as their function.

    `inverse` leads back to the input.
    """

    lower: Expr
    upper: Expr
    slope: Expr
    inverse: Expr


@dataclass(frozen=True)
class _Level:
    """A value that f takes at a single input, or on a whole piece, its slope there and one such input."""

    value: Expr
    slope: Expr
    at: Expr


def _images_and_levels(name: str, pieces: Pieces, slopes: Pieces) -> tuple[list[_Image], list[_Level]]:
    """Both from left to right on the axis of values, no two of them in contradiction."""
    x = pieces.variable
    images: list[_Image] = []
    levels: list[_Level] = []
    for piece, slope in zip(pieces.pieces, slopes.pieces, strict=True):
        if not piece.expr.has(x):
            levels.append(_Level(piece.expr, sympy.S.Zero, interior_points(piece.lower, piece.upper)[0]))
        else:
            images.append(_image(name, piece, slope.expr, x))
    for place, value, chosen in zip(pieces.breakpoints, pieces.values, slopes.values, strict=True):
        levels.append(_Level(value, chosen, place))
    images.sort(key=lambda image: float(_middle(image)))
    for left, right in pairwise(images):
        if sign_of(right.lower - left.upper) == -1 and not _same(left.slope, right.slope):
            shared = interior_points(right.lower, sympy.Min(left.upper, right.upper))[0]
            at = [image.inverse.subs(x, shared) for image in (left, right)]
            raise _not_a_function(name, shared, *zip(at, (i.slope.subs(x, shared) for i in (left, right)), strict=True))
    kept: dict[Expr, _Level] = {}
    for level in levels:
        others = [(other.at, other.slope) for other in kept.values() if equal(other.value, level.value)]
        for image in images:
            if sign_of(level.value - image.lower) == 1 and sign_of(image.upper - level.value) == 1:
                others.append((image.inverse.subs(x, level.value), image.slope.subs(x, level.value)))
        for other in others:
            if not _same(other[1], level.slope):
                raise _not_a_function(name, level.value, other, (level.at, level.slope))
        if not others:
            kept[level.value] = level
    return images, sorted(kept.values(), key=lambda level: float(level.value))


def _same(one: Expr, other: Expr) -> bool:
    if one == other:
        return True
    if one.free_symbols | other.free_symbols:
        return False
    return one is not sympy.nan and other is not sympy.nan and equal(one, other) is True


def _middle(image: _Image) -> Expr:
    return interior_points(image.lower, image.upper)[0]


def _not_a_function(name: str, value: Expr, one: tuple[Expr, Expr], other: tuple[Expr, Expr]) -> InvalidRequest:
    (first, slope), (second, other_slope) = one, other
    shown = [f"{float(number):.6g}" for number in (value, first, slope, second, other_slope)]
    return InvalidRequest(
        f"f' of {name} is not a function of f: f takes the value {shown[0]} at x = {shown[1]} with the slope "
        f"{shown[2]} and at x = {shown[3]} with the slope {shown[4]}; keep x and use 'backward'"
    )


def _image(name: str, piece: Piece, slope: Expr, x: Symbol) -> _Image:
    """One piece seen from its values."""
    no_form = InvalidRequest(f"no closed form of f' as a function of f was found for {name}; keep x and use 'backward'")
    try:
        table = sign_table(slope, x, piece.lower, piece.upper)
    except Undecided:
        raise no_form from None
    if {1, -1} <= set(table.signs):
        raise _turning(name, piece, slope, table, x)
    try:
        inverted = piece_inverse(piece, x)
    except Undecided:
        inverted = None
    if inverted is None:
        raise no_form
    form = _simplest(piece, slope, inverted, x)
    if form is None:
        raise no_form
    return _Image(inverted.lower, inverted.upper, form, inverted.expr)


def _turning(name: str, piece: Piece, slope: Expr, table: SignTable, x: Symbol) -> InvalidRequest:
    """Two inputs beside a turning point of f at which f has one value."""
    turn = next(
        zero.at for zero, left, right in zip(table.zeros, table.signs, table.signs[1:], strict=False) if left != right
    )
    middle = float(enclosure(turn, _BITS).mid())
    value, slope_at = sympy.lambdify(x, piece.expr, "mpmath"), sympy.lambdify(x, slope, "mpmath")
    lowest, highest = float(piece.lower), float(piece.upper)
    reach = min(1.0, (middle - lowest) / 2, (highest - middle) / 2)
    wanted = value(middle - reach / 2)
    rising = value(middle + reach) > value(middle)
    while (value(middle + reach) > wanted) != rising:  # the other side does not reach this value: come closer
        reach /= 2
        wanted = value(middle - reach / 2)
    low, high = middle, middle + reach
    for _ in range(60):
        half = (low + high) / 2
        low, high = (low, half) if (value(half) > wanted) == rising else (half, high)
    first, second = middle - reach / 2, high
    one, other = ((sympy.Float(at), sympy.Float(slope_at(at))) for at in (first, second))
    return _not_a_function(name, sympy.Float(wanted), one, other)


def _simplest(piece: Piece, slope: Expr, inverted: Piece, x: Symbol) -> Expr | None:
    """The slope at the inverse, in the shortest form that is proved to be it; None where SymPy finds none in time."""
    side = 1 if inverted.lower.is_nonnegative else -1 if inverted.upper.is_nonpositive else 0
    inside = side * sympy.Dummy("y", positive=True) if side else sympy.Dummy("y", real=True)
    raw = slope.rewrite(sympy.exp).subs(x, inverted.expr.subs(x, inside))
    candidates: list[Expr] = []
    for form in (
        sympy.simplify,
        lambda expr: sympy.factor(sympy.cancel(sympy.together(expr))),
        lambda expr: sympy.simplify(_without_squares_under_roots(expr)),
    ):
        try:
            candidates.append(within(_SECONDS, partial(form, raw)))
        except Undecided:
            continue
    (free,) = inside.free_symbols
    back = [candidate.subs(free, side * x if side else x) for candidate in candidates]
    good = [form for form in back if not form.has(sympy.I) and _is_slope(form, piece, slope, x)]
    return min(good, key=lambda form: (int(sympy.count_ops(form)), str(form)), default=None)


def _without_squares_under_roots(expr: Expr) -> Expr:
    return expr.replace(
        lambda node: bool(node.is_Pow and abs(node.exp) == sympy.S.Half),
        lambda root: sympy.powdenest(sympy.factor(sympy.together(sympy.expand(root.base))) ** root.exp, force=True),
    )


def _is_slope(form: Expr, piece: Piece, slope: Expr, x: Symbol) -> bool:
    """Whether form(f(x)) = f'(x) is proved on the whole piece."""
    difference = form.subs(x, piece.expr) - slope
    if vanishes(difference, x, piece.lower, piece.upper):
        return True
    side = 1 if piece.lower.is_nonnegative else -1 if piece.upper.is_nonpositive else 0
    if side:  # roots of squares need to know the sign
        difference = difference.subs(x, side * sympy.Dummy("x", positive=True))
    try:
        return bool(within(_SECONDS, partial(sympy.simplify, difference.rewrite(sympy.exp))) == 0)
    except Undecided:
        return False


def _continued(name: str, images: list[_Image], levels: list[_Level], x: Symbol) -> Pieces:
    """The slopes on the whole axis of values: of an image, else of the level or the image's end next below or above."""
    parts: list[tuple[Expr, Expr, _Image | _Level]] = [
        *((image.lower, image.upper, image) for image in images),
        *((level.value, level.value, level) for level in levels),
    ]
    parts.sort(key=lambda part: (float(part[0]), float(part[1])))
    pieces: list[Piece] = []
    values: list[Expr] = []
    reached: Expr = -sympy.oo
    for lower, upper, part in parts:
        if pieces and sign_of(upper - reached) == -1:
            continue  # inside an image with the same slope
        first, last = _ends(name, part, x)
        if sign_of(lower - reached) == 1:
            above = isinstance(part, _Image) or not values
            pieces.append(Piece(first if above else values[-1], reached, lower))
            values.append(first)
        if isinstance(part, _Image):
            pieces.append(Piece(part.slope, lower if sign_of(lower - reached) != -1 else reached, upper))
            values.append(last)
        elif values:
            values[-1] = part.slope
        reached = upper
    if reached is sympy.oo:
        values.pop()
    else:
        pieces.append(Piece(values[-1], reached, sympy.oo))
    return Pieces(x, tuple(pieces), tuple(piece.upper for piece in pieces[:-1]), tuple(values))


def _ends(name: str, part: _Image | _Level, x: Symbol) -> tuple[Expr, Expr]:
    """The slope at both ends of an image, as its limit; a level has one."""
    if isinstance(part, _Level):
        return part.slope, part.slope
    found = []
    for end in (part.lower, part.upper):
        limit = one_sided_limit(Piece(part.slope, part.lower, part.upper), end, x)
        if end.is_finite and limit.is_finite is not True:
            raise InvalidRequest(f"f' of {name} has no bound where f ends at {end}; keep x and use 'backward'")
        found.append(sympy.S.Zero if limit.is_finite and sign_of(limit) == 0 else limit)
    return found[0], found[1]


def _as_piecewise(pieces: Pieces, x: Symbol) -> Expr:
    """One expression; neighbours that are one are joined."""
    branches: list[tuple[object, object]] = []
    for piece, place, value, following in zip(
        pieces.pieces, pieces.breakpoints, pieces.values, pieces.pieces[1:], strict=False
    ):
        here, there = piece.expr.subs(x, place), following.expr.subs(x, place)
        if piece.expr == following.expr and _same(here, value):
            continue
        if _same(here, value):
            branches.append((piece.expr, x <= place))
        else:
            branches.append((piece.expr, x < place))
            if not _same(there, value):
                branches.append((value, sympy.Eq(x, place)))
    branches.append((pieces.pieces[-1].expr, True))
    return sympy.Piecewise(*branches) if len(branches) > 1 else pieces.pieces[-1].expr
