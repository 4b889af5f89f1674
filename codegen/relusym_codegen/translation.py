"""Smooth expressions of the stable family to lets: the one walk over a SymPy tree in the generator."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping

import sympy
from sympy import Expr, Mul, Rational, Symbol

from relusym.errors import InvalidRequest
from relusym_codegen.literals import is_exact
from relusym_codegen.primitives import Bounded, Decaying, InverseQuadratic, Stable
from relusym_codegen.program import Builder, Operand, spare

_ELEMENTARY: dict[type, str] = {
    sympy.exp: "exp",
    sympy.log: "log",
    sympy.sin: "sin",
    sympy.cos: "cos",
    sympy.sinh: "sinh",
    sympy.cosh: "cosh",
    sympy.atan: "atan",
    sympy.Abs: "abs",
}
_REPEATED: dict[type, str] = {sympy.Max: "max", sympy.Min: "min"}
"""Seen only in values chosen at breakpoints, between parameters that are arguments of the kernel."""


def translate(b: Builder, expr: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    """Lets for `expr`, each free symbol standing for its operand; constants are folded exactly, rounded once."""
    for product in expr.atoms(Mul):
        for factor in _halved_factors(product):
            if isinstance(factor, Decaying):
                type(factor).mark(b, *(_translate(b, argument, operands) for argument in factor.args))
    exponentials = {
        factor for product in expr.atoms(Mul) for factor in _halved_factors(product) if isinstance(factor, sympy.exp)
    }
    split = expr.xreplace({factor: _HalvedExp(factor.args[0]) for factor in exponentials})
    return _translate(b, split, operands)


class _HalvedExp(Decaying):
    """exp(u) as the square of exp(u/2)."""

    @staticmethod
    def expansion(b: Builder, u: Operand) -> Operand:
        first, second = _HalvedExp.halves(b, u)
        return b("mul", first, second)

    @staticmethod
    def halves(b: Builder, u: Operand) -> tuple[Operand, Operand]:
        half = b("exp", b("mul", u, 0.5))
        return half, half


def _halved_factors(product: Expr) -> list[Expr]:
    """Factors of a product that may underflow before the product does, because others grow."""
    constant, rest = product.as_independent(*product.free_symbols, as_Add=False)
    factors = Mul.make_args(rest)
    falling = [factor for factor in factors if isinstance(factor, Decaying | sympy.exp)]
    growing = not all(factor in falling or _is_bounded(factor) for factor in factors)
    return falling if falling and (growing or abs(constant) > 2) else []


def _is_bounded(factor: Expr) -> bool:
    """Known not to grow: a member of the family that stays within ±2, a sine or cosine, a falling power."""
    if isinstance(factor, Bounded | sympy.sin | sympy.cos):
        return True
    return bool(factor.is_Pow and factor.exp.is_number and factor.exp < 0)


def _translate(b: Builder, expr: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    if not expr.free_symbols:
        return b.constant(expr)
    if isinstance(expr, Symbol):
        return operands[expr]
    if expr.is_Add:
        return _sum(b, expr, operands)
    if expr.is_Mul:
        return _product(b, expr, operands)
    if expr.is_Pow:
        return _power(b, expr.base, expr.exp, operands)
    if isinstance(expr, sympy.sin) and "sin_shifted" in b.native:
        for sign in (1.0, -1.0):
            rest = expr.args[0] - sign * sympy.pi / 4
            if not rest.has(sympy.pi) and expr.args[0].has(sympy.pi):
                return b("sin_shifted", _finite_multiple(b, rest, operands), sign)
    if isinstance(expr, sympy.sin | sympy.cos):
        return b(_ELEMENTARY[expr.func], _finite_multiple(b, expr.args[0], operands))
    arguments = [_translate(b, argument, operands) for argument in expr.args]
    if isinstance(expr, Stable):
        return type(expr).expansion(b, *arguments)
    if expr.func in _REPEATED:
        return functools.reduce(functools.partial(b, _REPEATED[expr.func]), sorted(arguments, key=_constants_last))
    if expr.func not in _ELEMENTARY:
        raise InvalidRequest(f"no lowering is known for {expr.func}; write the formula with elementary functions")
    return b(_ELEMENTARY[expr.func], *arguments)


def _finite_multiple(b: Builder, argument: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    """The argument of a sine, clamped so that it is finite for a finite input."""
    constant, rest = argument.as_independent(*argument.free_symbols, as_Add=False)
    operand = _translate(b, rest, operands)
    if len(rest.free_symbols) > 1:
        operand = b("max", b("min", operand, b.work_format.max), -b.work_format.max)
    if abs(constant) > 1:
        edge = b.constant(sympy.Rational(b.work_format.max) * Rational(1023, 1024) / sympy.ceiling(abs(constant)))
        operand = b("max", b("min", operand, edge), -edge)
    return b("mul", operand, b.constant(constant))


def _constants_last(operand: Operand) -> bool:
    return not isinstance(operand, str)


def _sum(b: Builder, expr: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    if _is_long_polynomial(expr):
        return _polynomial(b, expr, *expr.free_symbols, operands=operands)
    if (line := _line_with_a_root(b, expr)) is not None:
        symbol, slope, root = line
        return _scaled(b, b("sub", operands[symbol], b.constant(root)), slope)
    total: Operand | None = None
    for term in _positive_first(expr):
        magnitude = -term if term.could_extract_minus_sign() else term
        value = _translate(b, magnitude, operands)
        if total is None:
            total = b("neg", value) if magnitude is not term else value
        else:
            total = b("add" if magnitude is term else "sub", total, value)
    assert total is not None
    return total


def _line_with_a_root(b: Builder, expr: Expr) -> tuple[Symbol, Expr, Expr] | None:
    """(x, a, r) with expr = a (x - r), a not ±1, where r is a float: then the value at r is 0, and near it exact."""
    if len(expr.free_symbols) != 1 or not expr.is_polynomial():
        return None
    (symbol,) = expr.free_symbols
    polynomial = sympy.Poly(expr, symbol)
    if polynomial.degree() != 1:
        return None
    slope, offset = polynomial.all_coeffs()
    root = -offset / slope
    return (symbol, slope, root) if abs(slope) != 1 and is_exact(root, b.work_format) else None


def _positive_first(expr: Expr) -> list[Expr]:
    """Terms in SymPy's order, those without a minus sign first, so that the sum need not begin with a negation."""
    terms = list(expr.as_ordered_terms())
    return sorted(terms, key=lambda term: bool(term.could_extract_minus_sign()))


def _polynomial(b: Builder, expr: Expr, symbol: Symbol, *, operands: Mapping[Symbol, Operand]) -> Operand:
    """Horner's scheme, in the square where the polynomial is even or odd."""
    polynomial = sympy.Poly(expr, symbol)
    coefficients = polynomial.all_coeffs()[::-1]
    variable = operands[symbol]
    first = next(power for power, coefficient in enumerate(coefficients) if coefficient != 0)
    step = 2 if all(c == 0 for c in coefficients[first + 1 :: 2]) else 1
    base = b("mul", variable, variable) if step == 2 else variable
    used = coefficients[first::step]
    value: Operand = b.constant(used[-1])
    for coefficient in reversed(used[:-1]):
        value = b("mul", value, base)
        if coefficient != 0:
            value = b("add", value, b.constant(coefficient))
    for _ in range(first):
        value = b("mul", value, variable)
    return value


def _product(b: Builder, expr: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    constant, factors = expr.as_independent(*expr.free_symbols, as_Add=False)
    if factors.is_Add and _is_long_polynomial(factors):
        return _sum(b, sympy.expand(expr), operands)  # the constant into the coefficients: one rounding less
    above: list[Expr] = []
    below: list[Expr] = []
    for factor in Mul.make_args(factors):
        base, exponent = (factor, sympy.S.One) if isinstance(factor, sympy.exp) else factor.as_base_exp()
        if exponent.is_Rational and exponent.q in (1, 2) and -6 <= exponent < 0:
            below += [base ** Rational(1, exponent.q)] * int(-exponent.p)
        else:
            above.append(factor)
    # Exponentials and bounded factors first, then a constant below 1: what follows overflows only if the product does.
    # Second halves of decaying factors last: the product underflows only if its value does.
    halved = {factor for factor in _halved_factors(expr) if isinstance(factor, Decaying)}
    tame = [factor for factor in above if _comes_first(factor)]
    growing = [factor for factor in above if factor not in tame]
    value: Operand | None = None
    last: list[Operand] = []
    for factor in tame:
        if factor in halved:
            arguments = [_translate(b, argument, operands) for argument in factor.args]
            first, second = _shared_lift(b, type(factor).halves(b, *arguments), len(halved))
            value = first if value is None else b("mul", value, first)
            last.append(second)
        else:
            value = _times(b, value, factor, operands)
    small = bool(abs(constant) < 1)
    if small and value is not None:
        value, constant = _scaled(b, value, constant), sympy.S.One
    for index, (factor, divides) in enumerate(_alternating(growing, below)):
        operand = _translate(b, factor, operands)
        if value is None:
            value = b("div", 1.0, operand) if divides else operand
        elif divides and below == [factor]:
            value = b("div", value, operand)
        else:
            value = b("mul", value, b("div", 1.0, operand) if divides else operand)
        if small and index == 0:
            value, constant = _scaled(b, value, constant), sympy.S.One
    value = _scaled(b, value, constant)
    if last:
        # the second halves together first: one of them may grow, and only the last product may underflow
        value = b("mul", value, functools.reduce(functools.partial(b, "mul"), last))
    return value


def _shared_lift(b: Builder, halves: tuple[Operand, Operand], count: int) -> tuple[Operand, Operand]:
    """Halves of one of so many factors: each is lifted by so much less that their product overflows no sooner."""
    if count == 1 or "exp_lifted" not in b.native:
        return halves
    surplus = 2.0 ** (spare(b.work_format) - spare(b.work_format) // count)
    first, second = halves
    return b("mul", first, 1 / surplus), second * surplus if isinstance(second, float) else b("mul", second, surplus)


def _comes_first(factor: Expr) -> bool:
    bounded = isinstance(factor, Bounded | sympy.exp | sympy.sin | sympy.cos)
    return bounded and not isinstance(factor, InverseQuadratic)


def _alternating(growing: list[Expr], below: list[Expr]) -> list[tuple[Expr, bool]]:
    """Single factors (False) and divisors (True) in turn, so that neither overflow nor underflow builds up.

    Small integer powers are taken apart; a divisor that stands more than once is multiplied in by its reciprocal.
    """
    singles = [base for factor in growing for base in _single_factors(factor)]
    up = [(base, False) for base in singles if not isinstance(base, InverseQuadratic)]
    down = [(base, True) for base in below] + [(base, False) for base in singles if isinstance(base, InverseQuadratic)]
    return [pair for pairs in itertools.zip_longest(up, down) for pair in pairs if pair is not None]


def _single_factors(factor: Expr) -> list[Expr]:
    base, exponent = factor.as_base_exp()
    if exponent.is_Rational and exponent.q in (1, 2) and 1 < exponent <= 4:
        return [base ** Rational(1, exponent.q)] * int(exponent.p)
    return [factor]


def _scaled(b: Builder, value: Operand | None, constant: Expr) -> Operand:
    """`value * constant`, as a division where the constant is the reciprocal of an integer."""
    assert value is not None
    if constant == -1:
        return b("neg", value)
    reciprocal = 1 / constant
    if reciprocal.is_Integer and abs(reciprocal) != 1 and not _is_power_of_two(reciprocal):
        return b("div", value, b.constant(reciprocal))
    return b("mul", value, b.constant(constant))


def _is_long_polynomial(expr: Expr) -> bool:
    symbols = expr.free_symbols
    return len(symbols) == 1 and bool(expr.is_polynomial(*symbols)) and bool(sympy.degree(expr, *symbols) > 2)


def _is_power_of_two(number: Expr) -> bool:
    magnitude = abs(int(number))
    return magnitude & (magnitude - 1) == 0


def _times(b: Builder, value: Operand | None, factor: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    """`value * factor`; a small positive power is multiplied in one factor at a time, so that it cannot overflow."""
    base, exponent = (factor, sympy.S.One) if isinstance(factor, sympy.exp) else factor.as_base_exp()
    if value is not None and exponent.is_Integer and 1 < exponent <= 4:
        operand = _translate(b, base, operands)
        for _ in range(int(exponent)):
            value = b("mul", value, operand)
        return value
    operand = _translate(b, factor, operands)
    return operand if value is None else b("mul", value, operand)


def _power(b: Builder, base: Expr, exponent: Expr, operands: Mapping[Symbol, Operand]) -> Operand:
    if exponent.is_Rational and exponent.q in (1, 2):
        operand = _translate(b, base, operands)
        if exponent.q == 2:
            operand = b("sqrt", operand)
        if exponent < 0:
            # the power of the reciprocal, not the reciprocal of the power: it underflows only if the result does
            operand = b("div", 1.0, operand)
        return _integer_power(b, operand, abs(int(exponent.p)))
    return b("pow", _translate(b, base, operands), _translate(b, exponent, operands))


def _integer_power(b: Builder, operand: Operand, exponent: int) -> Operand:
    if exponent == 1:
        return operand
    half = _integer_power(b, operand, exponent // 2)
    square = b("mul", half, half)
    return b("mul", square, operand) if exponent % 2 else square
