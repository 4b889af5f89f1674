"""A definition as power series in ball arithmetic, and over the rationals where it is rational.

One walk over the untouched SymPy tree gives closures over truncated series (Arb, through python-flint): the
coefficients are the derivatives, and the branch of a Piecewise, Max, Min, Abs or sign is chosen by exact
comparison. Nothing of the derivative engine or of the kernel generator is shared.
"""

# The methods of an algebra are the functions they are named after.
# ruff: noqa: D102

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

import flint
import sympy
from sympy import Expr, Symbol
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, BooleanFalse, BooleanTrue, Not, Or

from relusym.activation import Activation
from relusym.errors import InvalidActivation, InvalidRequest

Series = Any  # flint.arb_series or flint.fmpq_series: a truncated power series in the varied symbol
Evaluate = Callable[[Series], Series]


class Retry(Exception):
    """Not decidable at this precision."""


class Outside(Exception):
    """No value at any precision: outside the domain, a pole, or a tie where a derivative was asked for."""


class Irrational(Exception):
    """Not a rational number."""


class Algebra(Protocol):
    """Truncated power series over some numbers: what a node of the tree needs."""

    length: int
    strict: bool

    def number(self, value: sympy.Rational) -> Series: ...
    def float(self, value: float) -> Series: ...
    def inverse(self, u: Series) -> Series: ...
    def root(self, u: Series, degree: int) -> Series: ...
    def power(self, base: Series, exponent: Series) -> Series: ...
    def function(self, name: str) -> Callable[[Series], Series]: ...
    def constant(self, name: str) -> Series: ...
    def compare(self, left: Side, right: Side, point: Series) -> int: ...


@dataclass(frozen=True)
class Side:
    """One side of a comparison: how to evaluate it in the current algebra, and the expression itself."""

    evaluate: Evaluate
    expr: Expr


class Balls:
    """Arb power series; enclosures at the precision in force when built and used."""

    def __init__(self, definition: Definition, length: int, strict: bool) -> None:
        self.definition = definition
        self.length = length
        self.strict = strict
        self.one = flint.arb_series([1])
        self.zero = flint.arb(0)
        self.two_over_root_pi = flint.arb_series([2 / flint.arb.const_sqrt_pi()])

    def number(self, value: sympy.Rational) -> Series:
        return flint.arb_series([flint.arb(flint.fmpq(int(value.p), int(value.q)))])

    def float(self, value: float) -> Series:
        return flint.arb_series([value])

    def constant(self, name: str) -> Series:
        return flint.arb_series([flint.arb.pi() if name == "pi" else flint.arb.const_e()])

    def inverse(self, u: Series) -> Series:
        try:
            return self.one / u
        except (ValueError, ZeroDivisionError):
            raise (Outside if u[0].is_zero() else Retry) from None

    def root(self, u: Series, degree: int) -> Series:
        self._positive(u, zero_allowed=self.length == 1)
        if u[0].is_zero():
            return flint.arb_series([0])
        if degree == 2:
            return u.sqrt()
        return (u.log() * self.number(sympy.Rational(1, degree))).exp()

    def power(self, base: Series, exponent: Series) -> Series:
        self._positive(base)
        return (base.log() * exponent).exp()

    def function(self, name: str) -> Callable[[Series], Series]:
        home = flint.arb_series if name in {"exp", "sin", "cos", "atan"} else self
        found: Callable[[Series], Series] = getattr(home, name)
        return found

    def compare(self, left: Side, right: Side, point: Series) -> int:
        difference = left.evaluate(point)[0] - right.evaluate(point)[0]
        if difference > 0:
            return 1
        if difference < 0:
            return -1
        if difference.is_zero():
            return 0
        try:
            return self.definition.compare_exactly(left.expr, right.expr, point)
        except Irrational:
            raise Retry from None

    def _positive(self, u: Series, zero_allowed: bool = False) -> None:
        leading = u[0]
        if leading > 0:
            return
        if leading.is_zero() and zero_allowed:
            return
        raise Outside if leading <= 0 else Retry

    # The functions that arb_series lacks: the constant term by Arb, the rest from the derivative as a series.

    def log(self, u: Series) -> Series:
        self._positive(u)
        return u.log()

    def tanh(self, u: Series) -> Series:
        leading = u[0]
        tanh = [leading.tanh()]
        if self.length > 1:
            sech = leading.sech()
            slope = [sech * sech]  # 1 - tanh**2 without its cancellation
            for k in range(1, self.length):
                if k > 1:
                    slope.append(-sum((tanh[i] * tanh[k - 1 - i] for i in range(k)), self.zero))
                tanh.append(self._integrated(u, slope, k))
        return self._known(tanh, u)

    def _sinh_cosh(self, u: Series) -> tuple[Series, Series]:
        leading = u[0]
        sinh, cosh = [leading.sinh()], [leading.cosh()]
        for k in range(1, self.length):
            sinh.append(self._integrated(u, cosh, k))
            cosh.append(self._integrated(u, sinh, k))
        return self._known(sinh, u), self._known(cosh, u)

    def _integrated(self, u: Series, slope: list[Any], k: int) -> Any:
        """Coefficient k of g(u), from those of g'(u) below k: k g_k = sum of j u_j g'_(k-j)."""
        if k == 1:
            return u[1] * slope[0]
        return sum((u[j] * slope[k - j] * j for j in range(1, k + 1)), self.zero) / k

    def _known(self, coefficients: list[Any], u: Series) -> Series:
        if u.prec < self.length:  # beyond its precision a series reads 0
            raise Retry
        return flint.arb_series(coefficients)

    def sinh(self, u: Series) -> Series:
        return self._sinh_cosh(u)[0]

    def cosh(self, u: Series) -> Series:
        return self._sinh_cosh(u)[1]

    def erf(self, u: Series) -> Series:
        leading = flint.arb_series([u[0].erf()])
        if self.length == 1:
            return leading
        return leading + (self.two_over_root_pi * (-(u * u)).exp() * u.derivative()).integral()

    def erfc(self, u: Series) -> Series:
        leading = flint.arb_series([u[0].erfc()])
        if self.length == 1:
            return leading
        return leading - (self.two_over_root_pi * (-(u * u)).exp() * u.derivative()).integral()


class Rationals:
    """Power series over the rationals; whatever is irrational at the input raises `Irrational`."""

    def __init__(self, definition: Definition, length: int, strict: bool) -> None:
        self.definition = definition
        self.length = length
        self.strict = strict

    def number(self, value: sympy.Rational) -> Series:
        return flint.fmpq_series([flint.fmpq(int(value.p), int(value.q))])

    def float(self, value: float) -> Series:
        return flint.fmpq_series([flint.arb(value).fmpq()])

    def constant(self, name: str) -> Series:
        raise Irrational

    def inverse(self, u: Series) -> Series:
        if u[0] == 0:
            raise Outside
        return self.number(sympy.Integer(1)) / u

    def root(self, u: Series, degree: int) -> Series:
        leading = u[0]
        if leading == 0 and self.length == 1:
            return u
        if leading <= 0:
            raise Outside
        scale = flint.fmpq(*(_integer_root(part, degree) for part in (leading.p, leading.q)))
        if self.length == 1:
            return flint.fmpq_series([scale])
        if degree != 2:
            raise Irrational
        return (u / leading).sqrt() * scale

    def power(self, base: Series, exponent: Series) -> Series:
        raise Irrational

    def function(self, name: str) -> Callable[[Series], Series]:
        at = 1 if name == "log" else 0

        def rational_only_there(u: Series) -> Series:
            if u[0] != at:
                raise Irrational
            if name in ("erf", "erfc"):
                if self.length > 1:
                    raise Irrational
                return flint.fmpq_series([0 if name == "erf" else 1])
            return getattr(u, name)()

        return rational_only_there

    def compare(self, left: Side, right: Side, point: Series) -> int:
        try:
            return self.definition.compare_exactly(left.expr, right.expr, point)
        except Irrational:
            return self.definition.compare_by_balls(left.expr, right.expr, point)


def _integer_root(number: Any, degree: int) -> int:
    root = int(sympy.integer_nthroot(int(number), degree)[0])
    if root**degree != int(number):
        raise Irrational
    return root


class Definition:
    """An activation with its parameter values; evaluators are built when needed, by precision and length.

    Parameters in `along` have another value at each input: that of the input at hand is looked up in `here`.
    """

    def __init__(
        self,
        activation: Activation,
        values: Mapping[Symbol, Expr],
        wrt: str | None,
        order: int,
        along: tuple[Symbol, ...] = (),
    ) -> None:
        self.activation = activation
        self.values = dict(values)
        self.varying = frozenset((*activation.inputs, *along))
        self.here: dict[Symbol, float] = dict.fromkeys(along, math.nan)
        self.wrt: Symbol | None = None
        if wrt is not None:
            named = {symbol.name: symbol for symbol in values}
            if wrt not in named:
                raise InvalidRequest(
                    f"{activation.name} has no parameter {wrt!r}; its parameters: {', '.join(named) or 'none'}"
                )
            self.wrt = named[wrt]
        self.order = 1 if wrt is not None else order
        self._built: dict[object, Evaluate] = {}

    def balls(self, precision: int, length: int) -> Evaluate:
        """Evaluator over balls; its constants belong to `precision`, which must be in force during use."""
        key = (precision, length)
        if key not in self._built:
            flint.ctx.prec, flint.ctx.cap = precision, length
            algebra = Balls(self, length, strict=self.order > 0 and length > 1)
            self._built[key] = self._build(self.activation.expr, algebra)
        return self._built[key]

    def constant(self, value: Expr, precision: int) -> Any:
        """Ball of a number, at the precision in force."""
        try:
            return Builder(self, Balls(self, 1, strict=False)).build(value)(None)[0]
        except (Retry, Outside):
            return flint.arb.nan()

    def exact_value(self, x: float) -> Fraction | None:
        """The asked derivative as a rational number, or None where it is not known to be rational."""
        try:
            coefficient = self.rational_series(x, self.order + 1)[self.order]
        except (Irrational, Outside, Retry):
            return None
        return Fraction(int(coefficient.p), int(coefficient.q)) * math.factorial(self.order)

    def rational_series(self, x: float, length: int) -> Series:
        """So many coefficients at x, exactly; raises `Irrational`, `Outside` or `Retry` where they are not known."""
        saved = flint.ctx.cap
        flint.ctx.cap = length
        try:
            evaluate = self._rational(self.activation.expr, length, strict=self.order > 0)
            number = flint.arb(x).fmpq()
            result = evaluate(flint.fmpq_series([number, 1] if self.wrt is None else [number]))
        finally:
            flint.ctx.cap = saved
        if result.prec < length:
            raise Retry
        return result

    def compare_exactly(self, left: Expr, right: Expr, point: Series) -> int:
        """Sign of left - right by rational arithmetic; raises `Irrational`."""
        number = point[0]
        if not isinstance(number, flint.fmpq):
            number = number.fmpq()
        saved = flint.ctx.cap
        flint.ctx.cap = 1
        try:
            here = flint.fmpq_series([number])
            sides = [self._rational(side, 1, strict=False)(here)[0] for side in (left, right)]
        finally:
            flint.ctx.cap = saved
        return int(sides[0] > sides[1]) - int(sides[0] < sides[1])

    def compare_by_balls(self, left: Expr, right: Expr, point: Series) -> int:
        """Sign of left - right by balls of rising precision; raises `Irrational` when they never part."""
        saved = flint.ctx.cap, flint.ctx.prec
        try:
            for precision in (128, 512, 2048):
                flint.ctx.cap, flint.ctx.prec = 1, precision
                here = flint.arb_series([flint.arb(point[0])])
                builder = Builder(self, Balls(self, 1, strict=False))
                try:
                    difference = builder.build(left)(here)[0] - builder.build(right)(here)[0]
                except Retry:
                    continue
                if difference > 0 or difference < 0:
                    return 1 if difference > 0 else -1
            raise Irrational
        finally:
            flint.ctx.cap, flint.ctx.prec = saved

    def _rational(self, expr: Expr, length: int, *, strict: bool) -> Evaluate:
        key = (expr, length, strict)
        if key not in self._built:
            self._built[key] = self._build(expr, Rationals(self, length, strict))
        return self._built[key]

    def _build(self, expr: Expr, algebra: Algebra) -> Evaluate:
        return Builder(self, algebra).build(expr)


@lru_cache(maxsize=32)
def definition_of(
    activation: Activation,
    values: tuple[tuple[Symbol, Expr], ...],
    wrt: str | None,
    order: int,
    along: tuple[Symbol, ...] = (),
) -> Definition:
    """The definition, with the evaluators that were built for it before."""
    return Definition(activation, dict(values), wrt, order, along)


class Builder:
    """Compiles a SymPy tree to closures over the series of x, once per algebra, precision and length."""

    def __init__(self, definition: Definition, algebra: Algebra) -> None:
        self.definition = definition
        self.algebra = algebra
        (self.variable,) = definition.activation.inputs

    def build(self, expr: Expr) -> Evaluate:
        """A closure from the series of the input to the series of the expression."""
        if expr == self.variable:
            return lambda point: point
        evaluate = self._node(expr)
        if not self.definition.varying.isdisjoint(expr.free_symbols):
            return evaluate
        try:
            value = evaluate(None)
        except (Retry, Outside, Irrational):
            return evaluate  # raises again when, and only if, an input reaches it
        return lambda point: value

    def _node(self, expr: Expr) -> Evaluate:
        algebra = self.algebra
        if isinstance(expr, sympy.Symbol):
            return self._parameter(expr)
        if isinstance(expr, sympy.Float):
            return self._node(sympy.Rational(expr))
        if isinstance(expr, sympy.Rational):
            number = algebra.number(expr)
            return lambda point: number
        if expr in (sympy.pi, sympy.E):
            name = "pi" if expr == sympy.pi else "e"
            return lambda point: algebra.constant(name)
        if isinstance(expr, sympy.Add):
            return self._chain(expr.args, _add)
        if isinstance(expr, sympy.Mul):
            return self._chain(expr.args, _multiply)
        if isinstance(expr, sympy.Pow):
            return self._power(expr.base, expr.exp)
        if isinstance(expr, sympy.Piecewise):
            return self._piecewise(expr)
        if isinstance(expr, sympy.Max | sympy.Min):
            return self._extremum(list(expr.args), 1 if isinstance(expr, sympy.Max) else -1)
        if isinstance(expr, sympy.Abs | sympy.sign | sympy.Heaviside):
            return self._by_sign(expr)
        name = type(expr).__name__
        if name in ("exp", "log", "erf", "erfc", "sin", "cos", "tanh", "sinh", "cosh", "atan"):
            apply, inner = algebra.function(name), self.build(expr.args[0])
            return lambda point: apply(inner(point))
        raise InvalidActivation(
            f"{self.definition.activation.name}: the reference has no rule for {name} in {expr}; write it "
            "with exp log sqrt erf erfc sin cos tanh sinh cosh atan Abs sign Max Min Piecewise Heaviside"
        )

    def _parameter(self, symbol: Symbol) -> Evaluate:
        here = self.definition.here
        if symbol in here:
            return lambda point: self.algebra.float(here[symbol])
        value = self._node(self.definition.values[symbol])
        if symbol != self.definition.wrt:
            return value
        kind = flint.arb_series if isinstance(self.algebra, Balls) else flint.fmpq_series
        return lambda point: value(point) + kind([0, 1])

    def _chain(self, args: Sequence[Expr], combine: Callable[[Evaluate, Evaluate], Evaluate]) -> Evaluate:
        built = [self.build(arg) for arg in args]
        result = built[0]
        for other in built[1:]:
            result = combine(result, other)
        return result

    def _power(self, base: Expr, exponent: Expr) -> Evaluate:
        algebra, inner = self.algebra, self.build(base)
        if not isinstance(exponent, sympy.Rational):
            raised = self.build(exponent)
            return lambda point: algebra.power(inner(point), raised(point))
        degree = int(exponent.q)
        times = abs(int(exponent.p))

        def whole(point: Series) -> Series:
            value = inner(point)
            # By squaring: flint's own power of a ball around 0 is nan.
            return _repeated(algebra.root(value, degree) if degree > 1 else value, times)

        if exponent.p > 0:
            return whole
        return lambda point: algebra.inverse(whole(point))

    def _piecewise(self, expr: sympy.Piecewise) -> Evaluate:
        branches = [(self._condition(condition), self.build(branch)) for branch, condition in expr.args]

        def choose(point: Series) -> Series:
            for holds, branch in branches:
                if holds(point):
                    return branch(point)
            raise Outside

        return choose

    def _condition(self, condition: Any) -> Callable[[Series], bool]:
        if isinstance(condition, BooleanTrue | BooleanFalse) or condition in (True, False):
            answer = bool(condition)
            return lambda point: answer
        if isinstance(condition, And | Or):
            parts = [self._condition(part) for part in condition.args]
            over = all if isinstance(condition, And) else any
            return lambda point: over(part(point) for part in parts)
        if isinstance(condition, Not):
            inner = self._condition(condition.args[0])
            return lambda point: not inner(point)
        if isinstance(condition, Relational):
            algebra = self.algebra
            left = Side(self.build(condition.lhs), condition.lhs)
            right = Side(self.build(condition.rhs), condition.rhs)
            accepted = _RELATIONS[condition.rel_op]
            return lambda point: algebra.compare(left, right, point) in accepted
        raise InvalidActivation(
            f"{self.definition.activation.name}: condition {condition} is not a comparison; "
            "write it with < <= > >= and, or, not"
        )

    def _extremum(self, args: list[Expr], direction: int) -> Evaluate:
        algebra = self.algebra
        sides = [Side(self.build(arg), arg) for arg in args]

        def choose(point: Series) -> Series:
            best, tied = sides[0], False
            for side in sides[1:]:
                sign = algebra.compare(side, best, point) * direction
                if sign > 0:
                    best, tied = side, False
                elif sign == 0:
                    tied = True
            if tied and algebra.strict:
                raise Outside
            return best.evaluate(point)

        return choose

    def _by_sign(self, expr: Expr) -> Evaluate:
        algebra = self.algebra
        side, zero = (
            Side(self.build(expr.args[0]), expr.args[0]),
            Side(self.build(sympy.S.Zero), sympy.S.Zero),
        )
        if isinstance(expr, sympy.Abs):

            def absolute(point: Series) -> Series:
                sign = algebra.compare(side, zero, point)
                if sign == 0 and algebra.strict:
                    raise Outside
                value = side.evaluate(point)
                return value if sign >= 0 else -value

            return absolute
        steps = (-1, 0, 1) if isinstance(expr, sympy.sign) else (0, expr.args[1], 1)
        values = [self.build(sympy.sympify(step)) for step in steps]

        def step(point: Series) -> Series:
            sign = algebra.compare(side, zero, point)
            if sign == 0 and algebra.strict:
                raise Outside
            return values[sign + 1](point)

        return step


_RELATIONS: dict[str, frozenset[int]] = {
    ">": frozenset({1}),
    ">=": frozenset({0, 1}),
    "<": frozenset({-1}),
    "<=": frozenset({-1, 0}),
    "==": frozenset({0}),
    "!=": frozenset({-1, 1}),
}


def _add(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda point: left(point) + right(point)


def _multiply(left: Evaluate, right: Evaluate) -> Evaluate:
    return lambda point: left(point) * right(point)


def _repeated(base: Series, times: int) -> Series:
    if times == 1:
        return base
    half = _repeated(base, times // 2)
    return half * half * base if times % 2 else half * half


@contextmanager
def flint_settings() -> Iterator[None]:
    """python-flint keeps its precision and series length globally: put them back whatever happens."""
    saved = flint.ctx.prec, flint.ctx.cap
    try:
        yield
    finally:
        flint.ctx.prec, flint.ctx.cap = saved
