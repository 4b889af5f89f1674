"""Antiderivatives in the functions of the grammar, glued over the breakpoints."""

from __future__ import annotations

from itertools import pairwise

import sympy
from sympy import Expr, Rational, S, Symbol, erf, exp, sqrt
from sympy.integrals.rationaltools import ratint

from relusym.calculus.forms import in_exponentials
from relusym.calculus.limits import one_sided_limit
from relusym.calculus.symmetry import vanishes
from relusym.deadline import within
from relusym.domains import sign_inside
from relusym.errors import Undecided
from relusym.pieces import Piece, Pieces
from relusym.signs import sign_of

SECONDS = 0.5
"""How long SymPy may think about one integral."""

_PRINTED = (
    sympy.exp,
    sympy.log,
    sympy.erf,
    sympy.erfc,
    sympy.sin,
    sympy.cos,
    sympy.tanh,
    sympy.sinh,
    sympy.cosh,
    sympy.atan,
)


def antiderivative(pieces: Pieces) -> Pieces | None:
    """The continuous F with F' = f inside every piece and F(0) = 0; None where none is found.

    Each branch is proved by differentiation. Where f jumps, F has a kink. None also where no elementary F
    with erf exists (log(1 + exp(x)) needs a dilogarithm) and where F is unbounded at a breakpoint.
    """
    x = pieces.variable
    branches = []
    try:
        for piece in pieces.pieces:
            branch = _branch(piece, x)
            if branch is None:
                return None
            branches.append(branch)
        return _glued(pieces, branches)
    except Undecided:
        return None


def _glued(pieces: Pieces, branches: list[Expr]) -> Pieces | None:
    x = pieces.variable
    spans = [Piece(branch, piece.lower, piece.upper) for branch, piece in zip(branches, pieces.pieces, strict=True)]
    shifts = [S.Zero]
    for left, right in pairwise(spans):
        before, after = _end_value(left, left.upper, x), _end_value(right, right.lower, x)
        if before is None or after is None:
            return None
        shifts.append(shifts[-1] + before - after)
    signs = [sign_of(place) for place in pieces.breakpoints]
    if None in signs:
        return None
    middle = signs.count(-1)
    at_zero = (
        _end_value(spans[middle], S.Zero, x) if 0 not in signs else _end_value(spans[middle], spans[middle].upper, x)
    )
    if at_zero is None:
        return None
    base = shifts[middle] + at_zero
    result = tuple(
        Piece(span.expr + sympy.expand(shift - base, deep=False), span.lower, span.upper)
        for span, shift in zip(spans, shifts, strict=True)
    )
    values = []
    for place, left in zip(pieces.breakpoints, result, strict=False):
        value = _end_value(left, place, x)
        assert value is not None
        values.append(S.Zero if sign_of(place) == 0 else value)
    return Pieces(x, result, pieces.breakpoints, tuple(values))


def _end_value(piece: Piece, at: Expr, x: Symbol) -> Expr | None:
    """The value of a branch in its closed interval; None where it is not finite."""
    value = piece.expr.subs(x, at)
    if at in (piece.lower, piece.upper) and (value.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity)):
        value = one_sided_limit(piece, at, x)
    return None if value.has(S.NaN, S.ComplexInfinity, S.Infinity, S.NegativeInfinity, S.ImaginaryUnit) else value


def _branch(piece: Piece, x: Symbol) -> Expr | None:
    """An antiderivative of one branch, verified."""
    for form in dict.fromkeys((piece.expr, in_exponentials(piece.expr, x))):
        found = _integral(form, piece, x)
        if found is not None and vanishes(found.diff(x) - piece.expr, x, piece.lower, piece.upper):
            return found
    return None


def _integral(expr: Expr, piece: Piece, x: Symbol) -> Expr | None:
    """Term by term; None as soon as one term has no rule."""
    total = S.Zero
    exponential = []
    for term in sympy.Add.make_args(sympy.expand(expr, deep=False, power_exp=False)):
        constant, rest = term.as_independent(x, as_Add=False)
        if rest == 1 or rest.is_polynomial(x):
            total += constant * sympy.Poly(rest, x).integrate().as_expr()
            continue
        part = _by_rule(rest, x)
        if part is not None:
            total += constant * sympy.expand_mul(part)
        else:
            exponential.append(term)
    if not exponential:
        return total
    rest = sympy.Add(*exponential)
    found = _of_exponential(rest, x)
    if found is None:
        found = _by_sympy(rest, piece, x)
    return None if found is None else total + found


def _by_rule(term: Expr, x: Symbol) -> Expr | None:
    """A polynomial times one function of a line, or times exp of a parabola."""
    polynomial = sympy.Mul(*(factor for factor in sympy.Mul.make_args(term) if factor.is_polynomial(x)))
    function = term / polynomial
    if isinstance(function, sympy.tanh | sympy.sin | sympy.cos | sympy.sinh | sympy.cosh) and polynomial == 1:
        slope = function.args[0].diff(x)
        if slope.has(x):
            return None
        argument = function.args[0]
        return {
            sympy.tanh: sympy.log(sympy.cosh(argument)),
            sympy.sin: -sympy.cos(argument),
            sympy.cos: sympy.sin(argument),
            sympy.sinh: sympy.cosh(argument),
            sympy.cosh: sympy.sinh(argument),
        }[function.func] / slope
    if isinstance(function, erf | sympy.erfc):
        argument = function.args[0]
        if argument.diff(x).has(x):
            return None
        primitive = sympy.Poly(polynomial, x).integrate().as_expr()
        inner = _by_parts_of_gaussian(primitive * function.diff(x), x)
        return None if inner is None else primitive * function - inner
    if isinstance(function, exp):
        return _by_parts_of_gaussian(term, x)
    return None


def _by_parts_of_gaussian(expr: Expr, x: Symbol) -> Expr | None:
    """The integral of a polynomial times exp of a line or of a parabola that opens downwards."""
    constant, rest = sympy.powsimp(expr).as_independent(x, as_Add=False)
    polynomial, exponent = S.One, S.Zero
    for factor in sympy.Mul.make_args(rest):
        if isinstance(factor, exp):
            exponent += factor.args[0]
        else:
            polynomial *= factor
    exponent = sympy.expand(exponent)
    if not (polynomial.is_polynomial(x) and exponent.is_polynomial(x)):
        return None
    degree = sympy.degree(exponent, x)
    if degree == 1:
        slope = exponent.diff(x)
        total, sign, derivative = S.Zero, 1, polynomial
        while derivative != 0:
            total += sign * derivative / slope
            derivative, sign = sympy.expand(derivative.diff(x) / slope), -sign
        return constant * sympy.expand(total) * exp(exponent)
    if degree != 2 or sign_of(exponent.coeff(x, 2)) != -1:
        return None
    # exponent = top - (a x + b)**2; in u = a x + b each power falls by two.
    a = sqrt(-exponent.coeff(x, 2))
    b = -exponent.coeff(x, 1) / (2 * a)
    top = sympy.expand(exponent.coeff(x, 0) + b**2)
    u = sympy.Dummy("u", real=True)
    coefficients = sympy.Poly(polynomial.subs(x, (u - b) / a), u).all_coeffs()[::-1]
    outside, inside = S.Zero, S.Zero
    for n in range(len(coefficients) - 1, 0, -1):
        outside -= coefficients[n] * u ** (n - 1) / 2
        if n >= 2:
            coefficients[n - 2] += coefficients[n] * Rational(n - 1, 2)
    inside = coefficients[0] * sqrt(sympy.pi) / 2 * exp(top)
    line = a * x + b
    gaussian = sympy.expand(outside.subs(u, line)) * exp(exponent)
    return constant / a * (gaussian + inside * erf(line))


def _of_exponential(expr: Expr, x: Symbol) -> Expr | None:
    """A rational function of exp(k x) alone, by the substitution G = exp(k x)."""
    powers = [power for power in expr.atoms(exp) if power.has(x)]
    slopes = [power.args[0].diff(x) for power in powers]
    if not powers or any(slope.has(x) for slope in slopes):
        return None
    unit = slopes[0]
    multiples = [sympy.cancel(slope / unit) for slope in slopes]
    if not all(multiple.is_Rational for multiple in multiples):
        return None
    unit = sympy.Abs(unit / sympy.ilcm(1, *(int(multiple.q) for multiple in multiples)))
    unit *= sympy.igcd(0, *(int(slope / unit) for slope in slopes))
    G = sympy.Dummy("G", positive=True)
    inside = expr
    for power in powers:
        offset = power.args[0].subs(x, 0)
        if offset != 0:
            return None
        inside = inside.xreplace({power: G ** int(power.args[0].diff(x) / unit)})
    if inside.has(x) or not inside.is_rational_function(G):
        return None
    found = within(SECONDS, lambda: ratint(sympy.cancel(sympy.together(inside / (unit * G))), G))
    if found.has(sympy.RootSum, sympy.I):
        return None
    terms = []
    for term in sympy.Add.make_args(sympy.expand(found)):
        terms.append(term.replace(sympy.log, lambda argument: _logarithm(argument, G, unit * x)))
    return sympy.Add(*terms).subs(G, exp(unit * x))


def _logarithm(argument: Expr, G: Symbol, exponent: Expr) -> Expr:
    """The logarithm of a polynomial in G, up to a constant: log(G) is the exponent, leading constants drop."""
    if argument == G:
        return exponent
    leading = sympy.Poly(argument, G).LC()
    argument = sympy.expand(argument / leading)
    return sympy.log(-argument if sign_of(argument.subs(G, S.Zero)) == -1 else argument)


def _by_sympy(expr: Expr, piece: Piece, x: Symbol) -> Expr | None:
    """Rational, trigonometric and algebraic branches; a mixture with exp is not worth SymPy's time."""
    if any(node.has(x) for node in expr.atoms(exp, erf, sympy.tanh, sympy.sinh, sympy.cosh, sympy.atan)):
        return None
    nested = [log for log in expr.atoms(sympy.log) if log.has(x) and not log.args[0].is_rational_function(x)]
    if nested:
        return None
    parabola = _of_root(expr, x)
    if parabola is not None:
        return parabola
    found = within(SECONDS, lambda: sympy.integrate(expr, x))
    found = found.replace(sympy.asinh, lambda u: sympy.log(u + sqrt(u**2 + 1)))
    if found.has(sympy.Integral, sympy.Piecewise, S.ImaginaryUnit):
        return None
    if any(node.is_Function and not isinstance(node, _PRINTED) for node in found.atoms(sympy.Function)):
        return None
    return _with_positive_logarithms(found, piece, x)


def _with_positive_logarithms(expr: Expr, piece: Piece, x: Symbol) -> Expr:
    """log(x - 1) left of 1 is log(1 - x), up to a constant that is not real."""

    def mended(argument: Expr) -> Expr:
        negative = argument.has(x) and sign_inside(argument, x, piece.lower, piece.upper) == -1
        return sympy.log(sympy.expand(-argument) if negative else argument)

    return expr.replace(sympy.log, mended)


def _of_root(expr: Expr, x: Symbol) -> Expr | None:
    """sqrt(a x**2 + b x + c) with a > 0 and no zero."""
    constant, root = sympy.expand(expr).as_independent(x, as_Add=False)
    if not (root.is_Pow and root.exp == S.Half and root.base.is_polynomial(x) and sympy.degree(root.base, x) == 2):
        return None
    a, b, c = sympy.Poly(root.base, x).all_coeffs()
    gap = sympy.expand(4 * a * c - b**2)
    if sign_of(a) != 1 or sign_of(gap) != 1:
        return None
    line = 2 * a * x + b
    return constant * (line * root / (4 * a) + gap / (8 * a * sqrt(a)) * sympy.log(x + b / (2 * a) + root / sqrt(a)))
