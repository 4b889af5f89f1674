"""Moments of f(z) for normal z: exact where the pieces allow it, else integrated in balls."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeAlias

import sympy
from flint import acb, arb, ctx
from sympy import Expr, Poly, Symbol

from relusym.balls import climbed, combined, compiled, enclosure, integer_power, order, precision
from relusym.calculus.bounds import simplest
from relusym.calculus.forms import Field, field_of
from relusym.calculus.symmetry import vanishes
from relusym.calculus.waves import sum_of_waves
from relusym.deadline import within
from relusym.domains import interior_points
from relusym.errors import InvalidRequest, Undecided
from relusym.facts import Enclosed, Real
from relusym.pieces import Piece, Pieces
from relusym.signs import sign_of

_TRIAL_BITS = (104, 416)  # of precision, until an integral is told from 0
_EVALUATIONS_A_BIT = 1000

_Complex: TypeAlias = Callable[[acb, bool], acb]
"""A function of complex boxes; with True it is not finite where it is not analytic."""


def gaussian_moment(
    pieces: Pieces, power: int = 1, *, sigma: Expr = sympy.S.One, growth: tuple[Real, Real] | None = None
) -> Real:
    """E f(sigma z)**power for a standard normal z; values at single points have no weight.

    Exact for pieces that are sums of x**n exp(a x**2 + b x + c), with symbols for parameters if need be, and on
    the whole line also with sines, cosines, and factors erf(r x + s). Else an enclosure, for which `growth` =
    (c, L) must bound |f(x)| by c + L |x| everywhere. Raises `Undecided` where neither applies, and where an
    integral cannot be told from 0. Not to be asked within a deadline: an integral in progress cannot be stopped.
    """
    assert power > 0
    if sign_of(sigma) != 1:
        raise InvalidRequest(f"sigma = {sigma} is no standard deviation; give a positive number")
    constant = _mirror_sum(pieces) if power == 1 else None
    if constant is not None:
        return constant / 2
    try:
        return simplest(sum((_of_piece(piece, pieces.variable, power, sigma) for piece in pieces.pieces), sympy.S.Zero))
    except _NoClosedForm as reason:
        if growth is None:
            raise Undecided(f"{reason}, and no bound on the growth of f is known") from None
    return _integrated(pieces, power, sigma, growth)


def gain(second_moment: Real) -> Real:
    """1 / sqrt of a second moment: the factor that keeps the variance (He et al. 2015, arXiv:1502.01852)."""
    if isinstance(second_moment, Enclosed):
        return combined(f"1 / sqrt of {second_moment.definition}", lambda ball: 1 / ball.sqrt(), second_moment)
    above, below = sympy.fraction(sympy.together(second_moment))
    forms = simplest(sympy.sqrt(below) / sympy.sqrt(above)), 1 / sympy.sqrt(second_moment)
    return min(forms, key=lambda form: len(str(form)))


def gaussian_measure(lower: Real, upper: Real) -> Real:
    """P(lower < z < upper) for a standard normal z and lower < upper."""
    if isinstance(lower, Expr) and isinstance(upper, Expr):
        return _measure(lower, upper)
    words = "the probability of an interval"
    if upper is sympy.oo:
        return combined(words, _beyond, lower)
    if lower is -sympy.oo:
        return combined(words, lambda high: _beyond(-high), upper)
    return combined(words, _between, lower, upper)


def _beyond(end: arb) -> arb:
    return (end / arb(2).sqrt()).erfc() / 2


def _between(low: arb, high: arb) -> arb:
    """Without cancellation far from 0."""
    return _beyond(-high) - _beyond(-low) if high < 0 else _beyond(low) - _beyond(high)


# --- closed forms ---


class _NoClosedForm(Exception):
    """The term is beyond the recursions here."""


def _of_piece(piece: Piece, x: Symbol, power: int, sigma: Expr) -> Expr:
    forms = {sympy.erfc: sympy.erf, sympy.sinh: sympy.exp, sympy.cosh: sympy.exp}
    # of x only: the constants of a definition stay as they are written
    expr = piece.expr.replace(
        lambda node: node.func in forms and node.has(x), lambda node: node.rewrite(node.func, forms[node.func])
    )
    expr = sympy.expand(expr) ** power
    expr = sum_of_waves(expr) if expr.has(sympy.sin, sympy.cos) else sympy.expand(expr)
    terms = sympy.Add.make_args(sympy.powsimp(expr) if expr.has(sympy.exp) else expr)
    return sum((_of_term(term, x, piece.lower, piece.upper, sigma) for term in terms), sympy.S.Zero)


def _of_term(term: Expr, x: Symbol, lower: Expr, upper: Expr, sigma: Expr) -> Expr:
    """E of c x**n exp(a x**2 + b x) times one wave, or times factors erf(r x + s), over an interval; x = sigma z."""
    if term == 0:
        return sympy.S.Zero
    constant, rest = term.as_independent(x, as_Add=False)
    power, exponent, wave = 0, Poly(0, x), None
    errors: list[_Line] = []
    for factor in sympy.Mul.make_args(rest):
        base, degree = factor.as_base_exp()
        counts = degree.is_Integer and degree > 0
        if factor == 1:
            continue
        if base == x and counts:
            power = int(degree)
        elif base.is_positive and not base.has(x) and degree.is_polynomial(x):
            exponent += Poly(sympy.expand(degree * sympy.log(base)), x)
        elif isinstance(base, sympy.erf) and counts and base.args[0].is_polynomial(x):
            errors += [_line(base.args[0], x)] * int(degree)
        elif isinstance(factor, sympy.sin | sympy.cos) and wave is None and factor.args[0].is_polynomial(x):
            wave = factor
        else:
            raise _NoClosedForm(f"no closed form for the moments of {factor}")
    whole = lower is -sympy.oo and upper is sympy.oo
    if exponent.degree() > 2 or (errors and wave is not None) or ((errors or wave is not None) and not whole):
        raise _NoClosedForm(f"no closed form for the moments of {term}")
    constant *= sympy.exp(exponent.coeff_monomial(1))
    rate = exponent.coeff_monomial(x)
    # exp(a x**2) makes the normal density a narrower one, with a factor
    narrowing = 1 - 2 * exponent.coeff_monomial(x**2) * sigma**2
    if sign_of(narrowing) != 1:
        raise _NoClosedForm(f"the moment of {term} is not finite, or has no closed form")
    scale = sigma / sympy.sqrt(narrowing)
    constant /= sympy.sqrt(narrowing)
    if errors:
        return constant * sympy.exp((rate * scale) ** 2 / 2) * _moved(power, errors, rate * scale**2, scale)
    if wave is None:
        return constant * _shifted(power, rate, lower, upper, scale)
    frequency, phase = _line(wave.args[0], x)
    value = sympy.expand(_shifted(power, rate + sympy.I * frequency, lower, upper, scale), complex=True)
    cosine, sine = value.as_real_imag()
    if isinstance(wave, sympy.cos):
        return constant * (sympy.cos(phase) * cosine - sympy.sin(phase) * sine)
    return constant * (sympy.sin(phase) * cosine + sympy.cos(phase) * sine)


_Line: TypeAlias = tuple[Expr, Expr]
"""r and s of r x + s."""


def _line(expr: Expr, x: Symbol) -> _Line:
    polynomial = Poly(expr, x)
    if polynomial.degree() > 1:
        raise _NoClosedForm(f"no closed form with the argument {expr}")
    return polynomial.coeff_monomial(x), polynomial.coeff_monomial(1)


def _shifted(n: int, rate: Expr, lower: Expr, upper: Expr, sigma: Expr) -> Expr:
    """E x**n exp(rate x) over an interval: the square is completed, z is moved by rate * sigma."""
    shift = rate * sigma
    ends = [end if end.is_infinite else end / sigma - shift for end in (lower, upper)]
    total = sum((math.comb(n, j) * shift ** (n - j) * _truncated(j, *ends) for j in range(n + 1)), sympy.S.Zero)
    return sympy.exp(shift**2 / 2) * sigma**n * total


def _truncated(n: int, lower: Expr, upper: Expr) -> Expr:
    """E z**n over an interval, by parts."""
    if n == 0:
        return _measure(lower, upper)
    boundary = _boundary(n - 1, lower) - _boundary(n - 1, upper)
    return boundary + ((n - 1) * _truncated(n - 2, lower, upper) if n > 1 else sympy.S.Zero)


def _boundary(n: int, at: Expr) -> Expr:
    if at.is_infinite:
        return sympy.S.Zero
    return at**n * sympy.exp(-(at**2) / 2) / sympy.sqrt(2 * sympy.pi)


def _measure(lower: Expr, upper: Expr) -> Expr:
    """By erfc on the side where it is small."""
    low, high = lower / sympy.sqrt(2), upper / sympy.sqrt(2)
    if lower is -sympy.oo:
        return sympy.S.One if upper is sympy.oo else sympy.erfc(-high) / 2
    if upper is sympy.oo:
        return sympy.erfc(low) / 2
    if sign_of(lower) == 1:
        return (sympy.erfc(low) - sympy.erfc(high)) / 2
    if sign_of(upper) == -1:
        return (sympy.erfc(-high) - sympy.erfc(-low)) / 2
    return (sympy.erf(high) - sympy.erf(low)) / 2


def _moved(n: int, errors: list[_Line], mean: Expr, deviation: Expr) -> Expr:
    """E x**n prod erf(r x + s) for x = mean + deviation z."""
    moved = [(rate * deviation, offset + rate * mean) for rate, offset in errors]
    terms = (math.comb(n, j) * mean ** (n - j) * deviation**j * _with_errors(j, moved) for j in range(n + 1))
    return sum(terms, sympy.S.Zero) if mean != 0 else deviation**n * _with_errors(n, moved)


def _with_errors(n: int, errors: list[_Line]) -> Expr:
    """E z**n prod erf(r z + s) over the line: E z g = E g' (Stein) lowers n until the base cases.

    A factor's derivative is normal again, around another mean and narrower. E erf(q z) erf(r z) is the angle
    between two correlated signs (Sheppard 1899).
    """
    centred = all(offset == 0 for _, offset in errors)
    if centred and (n + len(errors)) % 2:
        return sympy.S.Zero
    if not errors:
        return sympy.factorial2(n - 1)
    if n == 0:
        return _of_errors(errors, centred)
    total = (n - 1) * _with_errors(n - 2, errors) if n > 1 else sympy.S.Zero
    for index, (rate, offset) in enumerate(errors):
        square = sympy.factor(1 + 2 * rate**2)
        height = 2 * rate * sympy.exp(-(offset**2) / square) / sympy.sqrt(sympy.pi * square)
        others = errors[:index] + errors[index + 1 :]
        total += height * _moved(n - 1, others, -2 * rate * offset / square, 1 / sympy.sqrt(square))
    return total


def _of_errors(errors: list[_Line], centred: bool) -> Expr:
    """E of one factor erf(r z + s), or of two without offsets."""
    squares = [sympy.factor(1 + 2 * rate**2) for rate, _ in errors]
    if len(errors) == 1:
        return sympy.erf(errors[0][1] / sympy.sqrt(squares[0]))
    if len(errors) > 2 or not centred:
        raise _NoClosedForm("no closed form for the mean of such a product of error functions")
    (one, _), (other, _) = errors
    if one == other:
        return 2 / sympy.pi * sympy.asin(sympy.cancel(2 * one**2 / squares[0]))
    return 2 / sympy.pi * sympy.asin(2 * one * other / (sympy.sqrt(squares[0]) * sympy.sqrt(squares[1])))


def _mirror_sum(pieces: Pieces) -> Expr | None:
    """The constant f(x) + f(-x), if it is proved to be one."""
    x = pieces.variable
    constant: Expr | None = None
    for piece, other in zip(pieces.pieces, reversed(pieces.pieces), strict=True):
        if order(piece.lower, -other.upper) != 0:
            return None
        total = piece.expr + other.expr.subs(x, -x)
        inside = interior_points(piece.lower, piece.upper)
        if _varies(total, x, inside):
            return None
        if constant is None:
            constant = simplest(total.subs(x, inside[0]))
        if not (vanishes(total - constant, x, piece.lower, piece.upper) or _cancels(total - constant)):
            return None
    return constant


def _varies(expr: Expr, x: Symbol, points: list[Expr]) -> bool:
    """Whether balls tell values apart; no proof is then looked for."""
    try:
        function, places = compiled(expr, x), [compiled(point) for point in points]
    except Undecided:
        return False
    with precision(_TRIAL_BITS[0]):
        first, *others = [function(place()) for place in places]
        return not all(first.overlaps(other) for other in others)


def _cancels(expr: Expr) -> bool:
    """For expressions in parameters, as fractions of polynomials in exponentials."""
    try:
        return bool(within(0.5, lambda: sympy.cancel(expr)) == 0)
    except (Undecided, sympy.PolynomialError):
        return False


# --- balls ---


def _integrated(pieces: Pieces, power: int, sigma: Expr, growth: tuple[Real, Real]) -> Enclosed:
    """The integral over [-R, R] by `acb.integral`, and the rest bounded by the growth of f."""
    x = pieces.variable
    parts = [(piece, _complex_function(piece.expr, x)) for piece in pieces.pieces]
    words = f"E f({'' if sigma == 1 else f'{sigma} '}z)" + (f"^{power}" if power > 1 else "")

    @functools.cache
    def found(bits: int) -> arb:
        reach = arb(math.isqrt(int(1.4 * bits) + 2 * power) + 2)
        with precision(3 * bits):
            scale = compiled(sigma)()
            ends = [[_end(end, scale, reach) for end in (piece.lower, piece.upper)] for piece, _ in parts]
        constant, slope = (_size(bound) for bound in growth)
        total, missed = arb(0), _tail(integer_power(constant + slope * scale, power), power, reach)
        for (low, high), (_, function) in zip(ends, parts, strict=True):
            if low >= high:
                continue
            moved = [_moved_inside(function, scale, end, step) for end, step in ((low, 1), (high, -1))]
            shifts = (moved[0] is not low) + (moved[1] is not high)
            missed += shifts * arb(2) ** -bits * integer_power(constant + slope * scale * reach, power)
            low, high = moved
            # beside a removable singularity digits cancel: as many as its order has, of all that there are
            with precision(3 * bits if shifts else bits):
                for a, b in ((low, high),) if low >= 0 or high <= 0 else ((low, arb(0)), (arb(0), high)):
                    total += _integral(function, power, scale, a, b, bits)
        return (total + (-missed).union(missed)) / (2 * arb.pi()).sqrt()

    def evaluate() -> arb:
        return found(ctx.prec)

    for bits in _TRIAL_BITS:  # what cannot be integrated is not claimed
        with precision(bits):
            if not evaluate().contains(0):
                break
    else:
        raise Undecided(f"{words} cannot be told from 0")
    return Enclosed(words, lambda bits: climbed(evaluate, bits, lambda: False, words))


def _integral(function: _Complex, power: int, scale: arb, a: arb, b: arb, bits: int) -> arb:
    def integrand(z: acb, analytic: bool) -> acb:
        value = function(z * scale, analytic)
        weight = (-z * z / 2).exp()
        for _ in range(power):
            weight = weight * value
        return weight

    tolerance = arb(2) ** -bits
    limit = _EVALUATIONS_A_BIT * bits
    found = acb.integral(integrand, acb(a), acb(b), rel_tol=tolerance, abs_tol=tolerance, eval_limit=limit).real
    if not found.is_finite() or found.rad() > arb(2) ** (-bits // 2):
        raise Undecided(f"the integral is not found in {limit} evaluations")
    return found


def _end(end: Expr, scale: arb, reach: arb) -> arb:
    if end.is_infinite:
        return reach if end is sympy.oo else -reach
    at = compiled(end)() / scale
    return min(max(at, -reach), reach)


def _moved_inside(function: _Complex, scale: arb, end: arb, direction: int) -> arb:
    """The end; a little inside where the formula has no value there, as (exp(x) - 1)/x at 0."""
    return end if function(acb(end * scale), True).is_finite() else end + direction * arb(2) ** -ctx.prec


def _size(bound: Real) -> arb:
    return arb(0) if order(bound, sympy.S.Zero) == 0 else abs(enclosure(bound, 53))


def _tail(factor: arb, power: int, reach: arb) -> arb:
    """What |z| > R adds at most, without 1/sqrt(2 pi), where |f(sigma z)|**p <= factor |z|**p.

    By parts, the integral of z**p exp(-z**2/2) beyond R is at most R**(p - 1) exp(-R**2/2) / (1 - (p - 1)/R**2).
    """
    beyond = integer_power(reach, power - 1) * (-reach * reach / 2).exp() / (1 - (power - 1) / (reach * reach))
    return 2 * factor * beyond


def _complex_function(expr: Expr, x: Symbol) -> _Complex:
    """A smooth expression on complex boxes; not finite where it is not analytic and that is asked for."""
    field, element = field_of(expr, x)
    above, below = _complex_polynomial(field, element.numer), _complex_polynomial(field, element.denom)
    generators = _complex_generators(field)

    def value(z: acb, analytic: bool) -> acb:
        known = {symbol: function(z, analytic) for symbol, function in generators.items()}
        known[x] = z
        return above(known) / below(known)

    return value


def _complex_generators(field: Field) -> dict[Symbol, _Complex]:
    return {symbol: _complex_generator(meaning, field.variable) for symbol, meaning in field.meaning.items()}


def _complex_generator(meaning: Expr, x: Symbol) -> _Complex:
    if meaning.is_Pow and not isinstance(meaning, sympy.exp):
        inner, n = _complex_function(meaning.base, x), int(1 / meaning.exp)
        if n == 2:
            return lambda z, analytic: inner(z, analytic).sqrt(analytic=analytic)
        return lambda z, analytic: (inner(z, analytic).log(analytic=analytic) / n).exp()
    inner = _complex_function(meaning.args[0], x)
    if isinstance(meaning, sympy.log):
        return lambda z, analytic: inner(z, analytic).log(analytic=analytic)
    if isinstance(meaning, sympy.atan | sympy.asinh):
        return _with_cuts(acb.atan if isinstance(meaning, sympy.atan) else acb.asinh, inner)
    functions: dict[Any, Callable[[acb], acb]] = {
        sympy.exp: acb.exp,
        sympy.erf: acb.erf,
        sympy.sin: acb.sin,
        sympy.cos: acb.cos,
    }
    if meaning.func not in functions:
        raise Undecided(f"{meaning.func.__name__} is not integrated here")
    function = functions[meaning.func]
    return lambda z, analytic: function(inner(z, analytic))


def _with_cuts(function: Callable[[acb], acb], inner: _Complex) -> _Complex:
    """A function that is analytic except at i y with |y| >= 1."""

    def value(z: acb, analytic: bool) -> acb:
        argument = inner(z, analytic)
        if analytic and argument.real.contains(0) and not abs(argument.imag) < 1:
            return acb(math.nan)
        return function(argument)

    return value


def _complex_polynomial(field: Field, polynomial: Any) -> Callable[[dict[Symbol, acb]], acb]:
    terms = [
        (compiled(term.coefficient), {field.variable: term.power, **term.generators})
        for term in field.terms(polynomial)
    ]

    def value(known: dict[Symbol, acb]) -> acb:
        total = acb(0)
        for coefficient, powers in terms:
            product = acb(coefficient())
            for symbol, exponent in powers.items():
                for _ in range(exponent):
                    product = product * known[symbol]
            total += product
        return total

    return value
