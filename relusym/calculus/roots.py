"""All zeros of a polynomial in x and exponentials on an interval, with proof that none is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy
from flint import arb
from sympy import Expr, Poly, Symbol

from relusym.balls import Function, compiled, integer_power, order, precision, sign
from relusym.calculus.forms import Field
from relusym.calculus.growth import Tail, tail
from relusym.deadline import within
from relusym.errors import Undecided
from relusym.facts import Enclosed, Real

_BITS = 96
_MAX_BOXES = 20_000
_MAX_MULTIPLICITY = 12
_SPLIT = 1000 / 2001  # off-centre, so that zeros at simple fractions are never split points


@dataclass(frozen=True)
class Zero:
    """A zero and how often."""

    at: Real
    multiplicity: int


def factor_zeros(field: Field, factor: Any, lower: Expr, upper: Expr) -> tuple[list[Zero], list[Tail]]:
    """The zeros of an irreducible polynomial of the field inside an open interval; complete.

    Tails are what the search relied on at infinite ends. Raises `Undecided` where no method applies.
    """
    symbols = field.symbols_in(factor)
    if not symbols or _has_one_sign(field, factor, lower, upper):
        return [], []
    exact = _exact_zeros(field, factor, symbols)
    if exact is not None:
        return [Zero(at, _multiplicity(field, factor, at)) for at in exact if _inside(at, lower, upper)], []
    if symbols <= {field.variable, *field.exponents}:
        return _search(field, factor, lower, upper)
    raise Undecided(f"no direct method for the zeros of {shortly(field.expression(factor))}")


def _multiplicity(field: Field, factor: Any, zero: Expr) -> int:
    """How many of the factor and its derivatives vanish at a zero of it (1 - exp(-x**2) has a double one)."""
    element = field.fractions(factor)
    for multiplicity in range(1, _MAX_MULTIPLICITY):
        element = field.derivative(element)
        direction = sign(field.expression(element).subs(field.variable, zero))
        if direction is None:
            break
        if direction:
            return multiplicity
    raise Undecided(f"the multiplicity of the zero at {zero} is not known")


def shortly(expr: Expr) -> str:
    """An expression in a message, cut where it is long."""
    text = str(expr)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _has_one_sign(field: Field, factor: Any, lower: Expr, upper: Expr) -> bool:
    """Whether all terms have the same sign: even powers of x, or x itself of one sign, and positive generators."""
    side = 1 if lower.is_nonnegative else -1 if upper.is_nonpositive else 0
    signs = set()
    for term in field.terms(factor):
        if any(not symbol.is_positive for symbol in term.generators) or (term.power % 2 and not side):
            return False
        signs.add((sign(term.coefficient) or 0) * (side if term.power % 2 else 1))
    return len(signs) == 1 and 0 not in signs


def _exact_zeros(field: Field, factor: Any, symbols: set[Symbol]) -> list[Expr] | None:
    """Zeros in closed form where the factor has one symbol only; None for other factors."""
    x = field.variable
    if len(symbols) == 1:
        (symbol,) = symbols
        polynomial = Poly(factor.as_expr().xreplace(field.constants), symbol)
        if symbol == x:
            return _real_zeros(polynomial)
        if symbol in field.exponents and field.exponents[symbol].degree() <= 2:
            values = _real_zeros(polynomial)
            if values is None:
                return None
            exponent = field.exponents[symbol]
            found = [_real_zeros(exponent - sympy.log(value)) for value in values if sign(value) == 1]
            return None if None in found else [_tidy(zero) for zeros in found for zero in zeros or ()]
        return None
    if len(symbols) == 2 and x in symbols and symbols & set(field.exponents):
        return _zeros_by_lambert(field, factor)
    roots = symbols & set(field.roots)
    if len(roots) == 1 and symbols <= {x, *roots}:
        return _zeros_with_a_square_root(field, factor, roots.pop())
    return None


def _zeros_by_lambert(field: Field, factor: Any) -> list[Expr] | None:
    """Zeros of a + b x + c exp(r x): -a/b - w/r with w exp(w) = (c r / b) exp(-a r / b), where w is unique."""
    parts: dict[str, Expr] = {"1": sympy.S.Zero}
    rate = None
    for term in field.terms(factor):
        kind = "1" if term.power == 0 and not term.generators else None
        if term.power == 1 and not term.generators:
            kind = "x"
        elif term.power == 0 and list(term.generators.values()) == [1]:
            (symbol,) = term.generators
            exponent = field.exponents.get(symbol)
            if exponent is not None and exponent.degree() == 1:
                kind, rate = "exp", exponent.LC()
        if kind is None:
            return None
        parts[kind] = term.coefficient
    if rate is None or "x" not in parts:
        return None
    a, b, c = parts["1"], parts["x"], parts["exp"]
    argument = c * rate / b * sympy.exp(-a * rate / b)
    if sign(argument) != 1:
        return None
    return [-a / b - sympy.LambertW(argument) / rate]


def _tidy(zero: Expr) -> Expr:
    short = within(0.5, lambda: sympy.logcombine(sympy.expand_log(zero), force=True))
    return short if sympy.count_ops(short) < sympy.count_ops(zero) else zero


def _real_zeros(polynomial: Poly) -> list[Expr] | None:
    """Real zeros by rational roots and square roots; None where a factor needs more."""
    zeros: list[Expr] = []
    _, factors = (
        polynomial.factor_list() if polynomial.domain.is_QQ or polynomial.domain.is_ZZ else (1, [(polynomial, 1)])
    )
    for factor, _ in factors:
        coefficients = factor.all_coeffs()
        if factor.degree() == 1:
            zeros.append(sympy.cancel(-coefficients[1] / coefficients[0]))
        elif factor.degree() == 2:
            square, linear, constant = coefficients
            discriminant = linear**2 - 4 * square * constant
            direction = sign(discriminant)
            if direction is None:
                return None
            if direction == 1:
                root = sympy.sqrt(discriminant)
                zeros += [sympy.radsimp((-linear + s * root) / (2 * square)) for s in (-1, 1)]
            elif direction == 0:
                zeros.append(-linear / (2 * square))
        elif factor.degree() > 2:
            return None
    return zeros


def _zeros_with_a_square_root(field: Field, factor: Any, root: Symbol) -> list[Expr] | None:
    """Zeros of a(x) + b(x) sqrt(r(x)): zeros of a**2 - b**2 r at which the sum itself vanishes."""
    radicand, degree = field.roots[root]
    polynomial = Poly(factor.as_expr(), root)
    if degree != 2 or polynomial.degree() != 1:
        return None
    b, a = polynomial.all_coeffs()
    norm = sympy.expand((a**2 - b**2 * radicand).xreplace(field.constants))
    if not norm.has(field.variable):
        return []
    candidates = _real_zeros(Poly(norm, field.variable))
    if candidates is None:
        return None
    expression = field.expression(factor)
    values = [(at, expression.subs(field.variable, at)) for at in candidates]
    return [at for at, value in values if value.is_real is not False and sign(value) == 0]


def _inside(at: Real, lower: Expr, upper: Expr) -> bool:
    sides = order(at, lower), order(upper, at)
    if None in sides:
        raise Undecided(f"{at} cannot be placed in ({lower}, {upper})")
    return sides == (1, 1)


# --- factors with x and exponentials: tails, then branch and bound ---


def _search(field: Field, factor: Any, lower: Expr, upper: Expr) -> tuple[list[Zero], list[Tail]]:
    value, slope = evaluator(field, factor), evaluator(field, field.derivative(factor))
    tails = [tail(field, factor, side) for end, side in ((lower, -1), (upper, 1)) if end.is_infinite]
    bounds = {found.side: found.bound for found in tails}
    left, right = bounds.get(-1, lower), bounds.get(1, upper)
    exact, guarded = _exact_points(field, factor, [sympy.S.Zero, *(end for end in (lower, upper) if end.is_finite)])
    start, stop = _outward(left, -1), _outward(right, 1)
    boxes: list[tuple[float, float]] = []
    position = start
    for a, b in [*sorted(guarded), (stop, stop)]:
        if position < a:
            boxes += isolate(value, slope, position, min(a, stop))
        position = max(position, b)
    zeros = [zero for zero in exact if _inside(zero.at, lower, upper)]
    name = str(field.expression(factor))
    for box in boxes:
        at = refinable(value, slope, box, name)
        if _inside(at, lower, upper):
            zeros.append(Zero(at, 1))
    return zeros, tails


def _exact_points(field: Field, factor: Any, points: list[Expr]) -> tuple[list[Zero], list[tuple[float, float]]]:
    """Which points are zeros, and an interval around each in which there is no other zero."""
    zeros, guarded = [], []
    for point in dict.fromkeys(points):
        multiplicity = 0
        element = field.fractions(factor)
        while sign(field.expression(element).subs(field.variable, point)) == 0:
            element = field.derivative(element)
            multiplicity += 1
        if multiplicity:
            zeros.append(Zero(point, multiplicity))
            guarded.append(_clear(evaluator(field, element), point))
    return zeros, guarded


def _clear(derivative: Function, point: Expr) -> tuple[float, float]:
    """An interval around the point in which the derivative that does not vanish there has no zero at all."""
    with precision(_BITS):
        middle = float(compiled(point)().mid())
        for exponent in range(2, 40):
            radius = 2.0**-exponent
            if not derivative(arb(middle, radius)).contains(0):
                return middle - radius, middle + radius
    raise Undecided(f"the zero at {point} cannot be set apart from others")


def _outward(end: Expr, direction: int) -> float:
    with precision(_BITS):
        ball = compiled(end)()
        return float((ball.lower() if direction < 0 else ball.upper()).mid()) + direction * 2.0**-40


def isolate(value: Function, slope: Function, start: float, stop: float) -> list[tuple[float, float]]:
    """Disjoint intervals with floats for ends, one simple zero of `value` in each, none elsewhere in [start, stop].

    Branch and bound: a box goes when the enclosure or the mean-value form of the function is without zero;
    where the derivative is without zero the signs at the ends tell whether the box holds one zero or none.
    """
    found: list[tuple[float, float]] = []
    waiting = [(start, stop)]
    with precision(_BITS):
        for _ in range(_MAX_BOXES):
            if not waiting:
                return sorted(found)
            a, b = waiting.pop()
            box, middle = arb(a).union(arb(b)), arb((a + b) / 2)
            if _without_zero(value(box)):
                continue
            rate = slope(box)
            if rate.is_finite() and _without_zero(value(middle) + rate * (box - middle)):
                continue
            if _without_zero(rate):
                signs = [_sign_at(value, end) for end in (a, b)]
                if signs[0] * signs[1] < 0:
                    found.append((a, b))
                continue
            split = a + (b - a) * _SPLIT
            if not a < split < b:
                break
            waiting += [(a, split), (split, b)]
    raise Undecided(f"the zeros between {start:g} and {stop:g} could not be isolated (perhaps a multiple one)")


def _without_zero(ball: arb) -> bool:
    return bool(ball.is_finite() and not ball.contains(0))


def _sign_at(value: Function, point: float) -> int:
    for bits in (_BITS, 4 * _BITS, 16 * _BITS):
        with precision(bits):
            ball = value(arb(point))
        if _without_zero(ball):
            return 1 if ball > 0 else -1
    raise Undecided(f"the sign at {point} is not known")


def refinable(value: Function, slope: Function, box: tuple[float, float], name: str) -> Enclosed:
    """The one simple zero of `value` in a box on which `slope` has no zero, by interval Newton steps."""
    known: dict[str, arb] = {}

    def enclose(bits: int) -> arb:
        with precision(_BITS):
            ball = known.get("ball", arb(box[0]).union(arb(box[1])))
        working = bits + 32
        while ball.rel_accuracy_bits() <= bits:
            if working > bits + 8192:
                raise Undecided(f"the zero of {name} near {float(ball.mid()):g} is not enclosed to {bits} bits")
            with precision(working):
                ball, progress = _newton(value, slope, ball)
            if not progress:
                working *= 2
        known["ball"] = ball
        return ball

    return Enclosed(f"the zero of {name} in ({box[0]:.6g}, {box[1]:.6g})", enclose)


def _newton(value: Function, slope: Function, ball: arb) -> tuple[arb, bool]:
    """One step from the middle, cut with what was known."""
    middle = ball.mid()
    image = middle - value(middle) / slope(ball)
    if image.is_finite():
        image = image.intersection(ball)
        return image, bool(image.rad() * 2 < ball.rad())
    return ball, False


def evaluator(field: Field, element: Any) -> Function:
    """An element, or a polynomial of one, as a function of balls."""
    element = field.fractions(element)
    above, below = _polynomial(field, element.numer), _polynomial(field, element.denom)
    return (lambda at: above(at)) if element.denom == 1 else (lambda at: above(at) / below(at))


def _polynomial(field: Field, polynomial: Any) -> Function:
    """A sum of terms; each generator is evaluated once."""
    terms = [(compiled(term.coefficient), term.power, term.generators) for term in field.terms(polynomial)]
    used = {symbol for _, _, generators in terms for symbol in generators}
    meaning: dict[Symbol, Callable[..., arb]] = {
        symbol: compiled(field.meaning[symbol], field.variable) for symbol in used
    }

    def value(at: arb) -> arb:
        generated = {symbol: function(at) for symbol, function in meaning.items()}
        total = arb(0)
        for coefficient, power, generators in terms:
            product = coefficient() * integer_power(at, power)
            for symbol, exponent in generators.items():
                product = product * integer_power(generated[symbol], exponent)
            total += product
        return total

    return value
