"""Inverses in closed form, solved piece by piece and verified by composition."""

from __future__ import annotations

from functools import partial

import sympy
from flint import arb
from sympy import Expr, Poly, Symbol

from relusym.balls import compiled, precision
from relusym.calculus.forms import Field, field_of
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.symmetry import vanishes
from relusym.deadline import within
from relusym.domains import interior_points
from relusym.errors import Undecided
from relusym.pieces import Piece, Pieces
from relusym.signs import equal

_BITS = 128


def inverse(pieces: Pieces, rising: bool) -> Pieces | None:
    """The inverse on the range of a continuous function that is strictly monotone (rising or falling).

    In the same variable, which now stands for values of f. None where no closed form is found, or none that
    composition proves.
    """
    x = pieces.variable
    try:
        found = [piece_inverse(piece, x) for piece in pieces.pieces]
    except Undecided:
        return None
    if None in found:
        return None
    branches = [branch for branch in found if branch is not None]
    if not rising:
        branches.reverse()
    values, places = pieces.values, pieces.breakpoints
    if not rising:
        values, places = values[::-1], places[::-1]
    if any(equal(branch.upper, value) is not True for branch, value in zip(branches, values, strict=False)):
        return None  # f jumps: the range has gaps
    return Pieces(x, tuple(branches), values, places)


def piece_inverse(piece: Piece, x: Symbol) -> Piece | None:
    """The inverse of one piece on its image: the solution that leads back into the piece."""
    ends = [one_sided_limit(piece, end, x) for end in (piece.lower, piece.upper)]
    rising = _rises(piece, x)
    lower, upper = ends if rising else ends[::-1]
    y = sympy.Dummy("y", real=True)
    for candidate in _solutions(piece.expr, x, y):
        form = candidate.xreplace({y: x})
        if _leads_back(piece, form, x) and _is_inverse(piece.expr, form, x, lower, upper):
            return Piece(form, lower, upper)
    return None


def _rises(piece: Piece, x: Symbol) -> bool:
    first, second = sorted(interior_points(piece.lower, piece.upper)[:2], key=float)
    with precision(_BITS):
        value = compiled(piece.expr, x)
        return bool(value(compiled(first)()) < value(compiled(second)()))


def _leads_back(piece: Piece, inverse: Expr, x: Symbol) -> bool:
    """Whether the solution gives back a few points of the piece, on balls."""
    with precision(_BITS):
        value, back = compiled(piece.expr, x), compiled(inverse, x)
        for point in interior_points(piece.lower, piece.upper)[:4]:
            at: arb = compiled(point)()
            result = back(value(at))
            if not (result.is_finite() and result.overlaps(at)):
                return False
    return True


def _is_inverse(expr: Expr, inverse: Expr, x: Symbol, lower: Expr, upper: Expr) -> bool:
    """Whether f(g(y)) = y is proved for all y of the image."""
    composed = expr.subs(x, inverse) - x
    if vanishes(composed, x, lower, upper):
        return True
    side = 1 if lower.is_nonnegative else -1 if upper.is_nonpositive else 0
    if side:
        composed = composed.subs(x, side * sympy.Dummy("y", positive=True))
        composed = composed.replace(
            _is_root, lambda root: sympy.factor(sympy.together(sympy.expand(root.base))) ** root.exp
        )
    try:
        return bool(within(1.0, partial(sympy.simplify, composed)) == 0)
    except Undecided:
        return False


def _is_root(expr: Expr) -> bool:
    return bool(expr.is_Pow and expr.exp == sympy.S.Half)


def _factored(root: Expr) -> Expr:
    """A root of a square gives way to what is squared."""
    return sympy.factor(sympy.together(sympy.expand(root.base))) ** root.exp


def _solutions(expr: Expr, x: Symbol, y: Symbol) -> list[Expr]:
    """Solutions of f(x) = y for x, where f needs x or one generator only."""
    field, element = field_of(expr, x)
    symbols = field.symbols_in(element.numer) | field.symbols_in(element.denom)
    fraction = element.as_expr().xreplace(field.constants)
    above, below = sympy.fraction(sympy.together(fraction))
    equation = sympy.expand(above - y * below)
    if len(symbols) == 1:
        (symbol,) = symbols
        return [solved for root in _zeros(equation, symbol) for solved in _undone(field, symbol, root, x, y)]
    roots = symbols & set(field.roots)
    if len(symbols) == 2 and len(roots) == 1 and x in symbols:
        (root,) = roots
        return _without_root(field, equation, root, x)
    return []


def _zeros(equation: Expr, symbol: Symbol) -> list[Expr]:
    """By the formulas of degree 1 and 2."""
    polynomial = Poly(equation, symbol)
    if polynomial.degree() == 1:
        slope, constant = polynomial.all_coeffs()
        above, below = sympy.fraction(sympy.cancel(-constant / slope))
        forms = above / below, sympy.expand(-above) / sympy.expand(-below)
        return [min(forms, key=lambda form: len(str(form)))]
    if polynomial.degree() == 2:
        square, linear, constant = polynomial.all_coeffs()
        root = sympy.sqrt(sympy.factor(linear**2 - 4 * square * constant))
        return [sympy.cancel((-linear + sign * root) / (2 * square)) for sign in (-1, 1)]
    return []


def _undone(field: Field, symbol: Symbol, value: Expr, x: Symbol, y: Symbol) -> list[Expr]:
    """X from the value of its generator."""
    if symbol == x:
        return [value]
    if symbol in field.exponents and field.exponents[symbol].degree() == 1:
        above, below = sympy.fraction(value)
        logarithm = -sympy.log(below) if above == 1 else sympy.log(value)
        return [logarithm / field.exponents[symbol].LC()]
    meaning = field.meaning[symbol]
    if isinstance(meaning, sympy.log):
        return [solved.xreplace({y: sympy.exp(value)}) for solved in _solutions(meaning.args[0], x, y)]
    return []


def _without_root(field: Field, equation: Expr, root: Symbol, x: Symbol) -> list[Expr]:
    """a(x) + b(x) sqrt(r(x)) = y squared; the solutions that squaring adds do not lead back."""
    radicand, degree = field.roots[root]
    polynomial = Poly(equation, root)
    if degree != 2 or polynomial.degree() != 1:
        return []
    b, a = polynomial.all_coeffs()
    return _zeros(sympy.expand(a**2 - b**2 * radicand.xreplace(field.constants)), x)
