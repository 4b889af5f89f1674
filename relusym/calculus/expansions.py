"""What f looks like near a point and far out: Taylor polynomials, asymptotes, asymptotic expansions."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol

from relusym.calculus import growth
from relusym.calculus.bounds import simplest
from relusym.calculus.forms import field_of, in_exponentials
from relusym.calculus.limits import one_sided_limit
from relusym.errors import Undecided
from relusym.pieces import Piece, Pieces, piece_at
from relusym.printing import grammar_text
from relusym.signs import sign_of

_KEPT = 4  # terms of a logarithm, a root, erf or atan that are put in their place


@dataclass(frozen=True)
class Expansion:
    """The first terms, in falling order of size, and the size of what is left (0: nothing is)."""

    terms: tuple[Expr, ...]
    remainder: Expr

    def __str__(self) -> str:
        text = ""
        for term in self.terms or (sympy.S.Zero,):
            negative = term.could_extract_minus_sign()
            shown = grammar_text(-term if negative else term)
            text += (" - " if negative else " + ") + shown if text else ("-" if negative else "") + shown
        return text if self.remainder == 0 else f"{text} + O({grammar_text(self.remainder)})"


def series_at(pieces: Pieces, point: Expr, order: int = 6) -> Expansion | tuple[Expansion, Expansion]:
    """The Taylor polynomial below this order; at a breakpoint two, from the left and from the right.

    SymPy's `series` gives the right one only. Raises `Undecided` where a derivative has no finite limit.
    """
    if any(sign_of(point - place) == 0 for place in pieces.breakpoints):
        index = next(i for i, place in enumerate(pieces.breakpoints) if sign_of(point - place) == 0)
        left, right = (_taylor(pieces.pieces[i], pieces.variable, point, order) for i in (index, index + 1))
        return left, right
    return _taylor(piece_at(pieces, point), pieces.variable, point, order)


def _taylor(piece: Piece, x: Symbol, point: Expr, order: int) -> Expansion:
    terms = []
    field, element = field_of(piece.expr, x)
    for n in range(order):
        slope = Piece(piece.expr.diff(x, n), piece.lower, piece.upper)
        coefficient = simplest(field.expression(element).subs(x, point))
        element = field.derivative(element)
        if coefficient.is_finite is not True:
            coefficient = one_sided_limit(slope, point, x)
        if coefficient.is_infinite or coefficient is sympy.nan:
            raise Undecided(f"the derivative of order {n} has no limit at {point}")
        if sign_of(coefficient) != 0:
            terms.append(coefficient / sympy.factorial(n) * (x - point) ** n)
    polynomial = piece.expr.is_polynomial(x) and sympy.degree(piece.expr, x) < order
    return Expansion(tuple(terms), sympy.S.Zero if polynomial else (x - point) ** order)


def asymptote(pieces: Pieces, side: int) -> tuple[Expr, Expr] | None:
    """The line that f approaches at side * oo: slope m = lim f' and intercept lim (f - m x); None without one."""
    x, end = pieces.variable, side * sympy.oo
    piece = pieces.pieces[-1 if side > 0 else 0]
    slope = one_sided_limit(Piece(piece.expr.diff(x), piece.lower, piece.upper), end, x)
    if not _is_number(slope):
        return None
    intercept = one_sided_limit(Piece(sympy.expand(piece.expr - slope * x), piece.lower, piece.upper), end, x)
    return (slope, intercept) if _is_number(intercept) else None


def _is_number(limit: Expr) -> bool:
    return limit is not sympy.nan and not limit.is_infinite


def expansion_at_infinity(pieces: Pieces, side: int, terms: int = 3) -> Expansion | None:
    """The asymptotic expansion at side * oo, each term of smaller order than the one before; None without one.

    The dominant term is split off again and again. Logarithms, roots, erf and atan are first written by
    their own expansions, cut off; twice, with different terms after the cut: only what both give is told.
    """
    piece = pieces.pieces[-1 if side > 0 else 0]
    x = pieces.variable
    try:
        exponential = in_exponentials(piece.expr, x)
        first = _terms(_in_powers(exponential, x, _Cut(side)), x, side, terms + 1)
        second = _terms(_in_powers(exponential, x, _Cut(side, {})), x, side, terms + 1)
        if first != second:
            return None
        if len(first) <= terms:
            return Expansion(first, sympy.S.Zero) if _is_all(piece.expr, first, x) else None
    except Undecided:
        return None
    return Expansion(first[:terms], _without_factor(first[terms], x))


def _terms(rest: Expr, x: Symbol, side: int, count: int) -> tuple[Expr, ...]:
    """At most so many terms, fewer where nothing is left."""
    found: list[Expr] = []
    while len(found) < count:
        field, element = field_of(rest, x)
        if field.is_zero(element):
            break
        found.append(growth.leading(field, element, side))
        rest = rest - found[-1]
    return tuple(found)


@dataclass(frozen=True)
class _Cut:
    """How expansions at side * oo are cut off: with nothing after, or with a term of its own for each function."""

    side: int
    marks: dict[Expr, int] | None = None

    def after(self, expr: Expr) -> Expr:
        """The coefficient of the first term that is left out."""
        if self.marks is None:
            return sympy.S.Zero
        return sympy.Integer(sympy.prime(self.marks.setdefault(expr, len(self.marks) + 5)))


def _is_all(expr: Expr, terms: tuple[Expr, ...], x: Symbol) -> bool:
    """Whether the terms are the whole of f."""
    field, element = field_of(expr - sympy.Add(*terms), x)
    return field.is_zero(element)


def _without_factor(term: Expr, x: Symbol) -> Expr:
    return term.as_independent(x, as_Add=False)[1]


def _in_powers(expr: Expr, x: Symbol, cut: _Cut) -> Expr:
    """Logarithms, roots, erf and atan by the first terms of their expansions."""
    if not expr.has(x) or not expr.args:
        return expr
    arguments = [_in_powers(argument, x, cut) for argument in expr.args]
    if isinstance(expr, sympy.log):
        return _logarithm(arguments[0], x, cut.side, cut.after(expr))
    if expr.is_Pow and not expr.exp.is_Integer and expr.exp.is_Rational:
        return _power(arguments[0], expr.exp, x, cut.side, cut.after(expr))
    if isinstance(expr, sympy.erf | sympy.atan):
        return _saturating(expr.func, arguments[0], x, cut.side, cut.after(expr))
    return expr.func(*arguments)


def _leading(expr: Expr, x: Symbol, side: int) -> tuple[Expr, Expr]:
    """The dominant term and u with expr = dominant * (1 + u), u -> 0."""
    field, element = field_of(expr, x)
    dominant = growth.leading(field, element, side)
    return dominant, sympy.expand((expr - dominant) / dominant)


def _logarithm(argument: Expr, x: Symbol, side: int, after: Expr) -> Expr:
    dominant, u = _leading(argument, x, side)
    constant, rest = dominant.as_independent(x, as_Add=False)
    if rest != 1 and not isinstance(rest, sympy.exp):
        raise Undecided(f"log({rest}) has no expansion in powers")
    exponent = rest.args[0] if isinstance(rest, sympy.exp) else sympy.S.Zero
    small = sum(((-1) ** (n + 1) * u**n / n for n in range(1, _KEPT + 1)), sympy.S.Zero)
    return sympy.log(constant) + exponent + small + after * u ** (_KEPT + 1)


def _power(base: Expr, exponent: Expr, x: Symbol, side: int, after: Expr) -> Expr:
    dominant, u = _leading(base, x, side)
    constant, rest = dominant.as_independent(x, as_Add=False)
    if rest == 1:
        root = sympy.S.One
    elif isinstance(rest, sympy.exp):
        root = sympy.exp(rest.args[0] * exponent)
    else:
        degree = rest.as_base_exp()[1] if rest != x else sympy.S.One
        if rest.as_base_exp()[0] != x or not (degree * exponent).is_Integer:
            raise Undecided(f"{rest}**{exponent} is no power of x")
        root = (side * x) ** (degree * exponent)
    series = sum((sympy.binomial(exponent, n) * u**n for n in range(_KEPT + 1)), sympy.S.Zero)
    return constant**exponent * root * (series + after * u ** (_KEPT + 1))


def _saturating(function: type, argument: Expr, x: Symbol, side: int, after: Expr) -> Expr:
    """The functions erf and atan at large arguments (Abramowitz & Stegun 7.1.23 and 4.4.42)."""
    limit = growth.limit(*field_of(argument, x), side)
    if not limit.is_infinite:
        raise Undecided(f"{argument} has the limit {limit}")
    towards = 1 if limit is sympy.oo else -1
    if function is sympy.erf:
        terms = [(-1) ** n * sympy.factorial2(2 * n - 1) / (2 * argument**2) ** n for n in range(_KEPT)]
        terms.append(after / argument ** (2 * _KEPT))
        return towards - sympy.exp(-sympy.expand(argument**2)) / (argument * sympy.sqrt(sympy.pi)) * sum(terms)
    terms = [(-1) ** n / ((2 * n + 1) * argument ** (2 * n + 1)) for n in range(_KEPT)]
    terms.append(after / argument ** (2 * _KEPT + 1))
    return towards * sympy.pi / 2 - sum(terms)
