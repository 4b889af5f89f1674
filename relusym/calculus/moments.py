"""Moments of f(z) for normal z: exact where the pieces allow it, else integrated in balls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import sympy
from flint import acb, arb, ctx
from sympy import Expr, Poly, Symbol

from relusym.balls import climbed, combined, compiled, enclosure, integer_power, order
from relusym.calculus.bounds import simplest
from relusym.calculus.forms import Field, field_of
from relusym.calculus.waves import sum_of_waves
from relusym.errors import Undecided
from relusym.facts import Enclosed, Real
from relusym.pieces import Piece, Pieces
from relusym.signs import sign_of

_FIRST_BITS = 80
_EVALUATIONS_A_BIT = 1000


def gaussian_moment(
    pieces: Pieces, power: int = 1, *, sigma: Expr = sympy.S.One, growth: tuple[Real, Real] | None = None
) -> Real:
    """E f(sigma z)**power for a standard normal z; values at single points have no weight.

    Exact for pieces that are sums of x**n exp(a x**2 + b x + c), with symbols for parameters if need be, and on
    the whole line also with sines, cosines, and up to two factors erf(a x). Else an enclosure, for which
    `growth` = (c, L) must bound |f(x)| by c + L |x| everywhere. Raises `Undecided` where neither applies.
    """
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
    """P(lower < z < upper) for a standard normal z."""
    if isinstance(lower, Expr) and isinstance(upper, Expr):
        return _measure(lower, upper)

    def probability(*ends: arb) -> arb:
        first, *rest = [(arb(-end) / arb(2).sqrt()).erfc() / 2 for end in ends]
        return rest[0] - first if rest else first

    finite = [end for end in (lower, upper) if not (isinstance(end, Expr) and end.is_infinite)]
    below = combined("the probability of an interval", probability, *finite)
    if len(finite) == 2 or upper is not sympy.oo:
        return below
    return combined("the probability of a half-line", lambda p: 1 - p, below)


# --- closed forms ---


class _NoClosedForm(Exception):
    """The term is beyond the recursions here."""


def _of_piece(piece: Piece, x: Symbol, power: int, sigma: Expr) -> Expr:
    expr = sympy.expand(piece.expr) ** power
    expr = sum_of_waves(expr) if expr.has(sympy.sin, sympy.cos) else sympy.expand(expr)
    terms = sympy.Add.make_args(sympy.powsimp(expr) if expr.has(sympy.exp) else expr)
    return sum((_of_term(term, x, piece.lower, piece.upper, sigma) for term in terms), sympy.S.Zero)


def _of_term(term: Expr, x: Symbol, lower: Expr, upper: Expr, sigma: Expr) -> Expr:
    """E of one term c x**n exp(a x**2 + b x) erf(r x)**j over an interval, x = sigma z."""
    if term == 0:
        return sympy.S.Zero
    constant, rest = term.as_independent(x, as_Add=False)
    power, exponent, erf_rate, erf_power, wave = 0, Poly(0, x), sympy.S.Zero, 0, None
    for factor in sympy.Mul.make_args(rest):
        base, degree = factor.as_base_exp()
        if factor == 1:
            continue
        if base == x and degree.is_Integer and degree > 0:
            power = int(degree)
        elif isinstance(factor, sympy.exp) and factor.args[0].is_polynomial(x):
            exponent += Poly(sympy.expand(factor.args[0]), x)
        elif isinstance(base, sympy.erf) and degree in (1, 2) and not (base.args[0] / x).has(x):
            erf_rate, erf_power = base.args[0] / x, int(degree)
        elif isinstance(factor, sympy.sin | sympy.cos) and wave is None and not (factor.args[0] / x).has(x):
            wave = factor
        else:
            raise _NoClosedForm(f"no closed form for the moments of {factor}")
    whole = lower is -sympy.oo and upper is sympy.oo
    if exponent.degree() > 2 or ((erf_power or wave is not None) and not whole):
        raise _NoClosedForm(f"no closed form for the moments of {term}")
    constant *= sympy.exp(exponent.coeff_monomial(1))
    rate = exponent.coeff_monomial(x)
    # exp(a x**2) makes the normal density a narrower one, with a factor
    narrowing = 1 - 2 * exponent.coeff_monomial(x**2) * sigma**2
    if sign_of(narrowing) != 1:
        raise Undecided(f"the moment of {term} is not finite")
    scale = sigma / sympy.sqrt(narrowing)
    constant /= sympy.sqrt(narrowing)
    if erf_power:
        if rate != 0 or wave is not None:
            raise _NoClosedForm(f"no closed form for the moments of {term}")
        return constant * scale**power * _with_erf(power, erf_rate * scale, erf_power)
    if wave is not None:
        value = sympy.expand(_shifted(power, rate + sympy.I * wave.args[0] / x, lower, upper, scale), complex=True)
        real, imaginary = value.as_real_imag()
        return constant * (real if isinstance(wave, sympy.cos) else imaginary)
    return constant * _shifted(power, rate, lower, upper, scale)


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
    if lower is -sympy.oo:
        return sympy.S.One if upper is sympy.oo else sympy.erfc(-upper / sympy.sqrt(2)) / 2
    if upper is sympy.oo:
        return sympy.erfc(lower / sympy.sqrt(2)) / 2
    return (sympy.erf(upper / sympy.sqrt(2)) - sympy.erf(lower / sympy.sqrt(2))) / 2


def _with_erf(n: int, rate: Expr, j: int) -> Expr:
    """E z**n erf(rate z)**j over the line, j <= 2: E z g = E g' (Stein) lowers n until the base cases.

    E erf(r z)**2 = 2/pi asin(2 r**2 / (1 + 2 r**2)): the angle between two correlated signs (Sheppard 1899).
    """
    if j == 0:
        return sympy.factorial2(n - 1) if n % 2 == 0 else sympy.S.Zero
    if (n + j) % 2:
        return sympy.S.Zero
    if n == 0:
        return 2 / sympy.pi * sympy.asin(2 * rate**2 / (1 + 2 * rate**2))
    narrow = sympy.sqrt(1 + 2 * rate**2)
    slope = j * 2 * rate / sympy.sqrt(sympy.pi) * _with_erf(n - 1, rate / narrow, j - 1) / narrow**n
    return slope + ((n - 1) * _with_erf(n - 2, rate, j) if n > 1 else sympy.S.Zero)


def _mirror_sum(pieces: Pieces) -> Expr | None:
    """The constant f(x) + f(-x), if it is one."""
    x = pieces.variable
    constants = []
    for piece, other in zip(pieces.pieces, reversed(pieces.pieces), strict=True):
        if order(piece.lower, -other.upper) != 0:
            return None
        total = piece.expr + other.expr.subs(x, -x)
        try:
            field, element = field_of(total, x)
        except Undecided:
            return None
        if field.derivative(element):
            return None
        inside = next(point for point in (1, sympy.Rational(1, 3), 5) if total.subs(x, point).is_finite)
        constants.append(simplest(total.subs(x, inside)))
    return constants[0] if all(order(constant, constants[0]) == 0 for constant in constants) else None


# --- balls ---


def _integrated(pieces: Pieces, power: int, sigma: Expr, growth: tuple[Real, Real]) -> Enclosed:
    """The integral over [-R, R] by `acb.integral`, and the rest bounded by the growth of f."""
    x = pieces.variable
    parts = [(piece, _complex_function(piece.expr, x)) for piece in pieces.pieces]
    words = f"E f({'' if sigma == 1 else f'{sigma} '}z)" + (f"^{power}" if power > 1 else "")

    def evaluate() -> arb:
        bits = ctx.prec
        reach = arb(math.isqrt(int(1.4 * bits)) + 2)
        total = arb(0)
        scale = compiled(sigma)()
        for piece, function in parts:
            low, high = (_end(end, scale, reach) for end in (piece.lower, piece.upper))
            if low >= high:
                continue
            for a, b in ((low, high),) if low >= 0 or high <= 0 else ((low, arb(0)), (arb(0), high)):
                total += _integral(function, power, scale, a, b, bits)
        total /= (2 * arb.pi()).sqrt()
        return total + arb(0, float(_tail(growth, power, scale, reach).upper()) * 1.001)

    known: dict[int, arb] = {}

    def enclose(bits: int) -> arb:
        if bits not in known:
            known[bits] = climbed(evaluate, bits, lambda: False, words)
        return known[bits]

    enclose(_FIRST_BITS)  # what cannot be integrated is not claimed
    return Enclosed(words, enclose)


def _integral(function: Callable[[acb, bool], acb], power: int, scale: arb, a: arb, b: arb, bits: int) -> arb:
    def integrand(z: acb, analytic: bool) -> acb:  # must not raise: python-flint would crash
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


def _tail(growth: tuple[Real, Real], power: int, scale: arb, reach: arb) -> arb:
    """What |z| > R adds at most: c + L s |z| <= (c + L s) |z| there, and z**2 has R + 1/R times the density at R."""
    constant, slope = (abs(enclosure(bound, 53)) if order(bound, sympy.S.Zero) else arb(0) for bound in growth)
    density = (-reach * reach / 2).exp()
    return 2 * integer_power(constant + slope * scale, power) * (reach + 1 / reach) * density


def _complex_function(expr: Expr, x: Symbol) -> Callable[[acb, bool], acb]:
    """A smooth expression on complex boxes; not finite where it is not analytic and that is asked for."""
    field, element = field_of(expr, x)
    above, below = _complex_polynomial(field, element.numer), _complex_polynomial(field, element.denom)
    generators = _complex_generators(field)

    def value(z: acb, analytic: bool) -> acb:
        known = {symbol: function(z, analytic) for symbol, function in generators.items()}
        known[x] = z
        return above(known) / below(known)

    return value


def _complex_generators(field: Field) -> dict[Symbol, Callable[[acb, bool], acb]]:
    return {symbol: _complex_generator(meaning, field.variable) for symbol, meaning in field.meaning.items()}


def _complex_generator(meaning: Expr, x: Symbol) -> Callable[[acb, bool], acb]:
    if meaning.is_Pow and not isinstance(meaning, sympy.exp):
        inner, n = _complex_function(meaning.base, x), int(1 / meaning.exp)
        if n == 2:
            return lambda z, analytic: inner(z, analytic).sqrt(analytic=analytic)
        return lambda z, analytic: (inner(z, analytic).log(analytic=analytic) / n).exp()
    inner = _complex_function(meaning.args[0], x)
    if isinstance(meaning, sympy.log):
        return lambda z, analytic: inner(z, analytic).log(analytic=analytic)
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
