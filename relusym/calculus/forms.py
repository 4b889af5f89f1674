"""Smooth functions as fractions of polynomials in x and a few generators: exponentials, roots, erf, log, atan.

With a symbol for every exponential, differentiation, cancellation and factoring are polynomial algebra.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import sympy
from sympy import QQ, Dummy, Expr, Poly, Symbol
from sympy.polys.fields import FracField

from relusym.balls import sign
from relusym.errors import Undecided
from relusym.signs import sign_of

_OPAQUE = (sympy.erf, sympy.log, sympy.atan, sympy.asinh, sympy.sin, sympy.cos)
_ROUNDS = 8  # of differentiation, until no new generator turns up


@dataclass(frozen=True)
class Field:
    """Fractions of polynomials in the variable, generators and irrational constants, closed under d/dx.

    `meaning` says what each generator stands for; `exponents` has q(x) for those that are exp(q(x)) with a
    polynomial q without constant term, `roots` has (radicand, degree) for those that are roots, `logarithms`
    the argument of those that are logarithms.
    """

    variable: Symbol
    meaning: dict[Symbol, Expr]
    constants: dict[Symbol, Expr]
    exponents: dict[Symbol, Poly]
    roots: dict[Symbol, tuple[Expr, int]]
    logarithms: dict[Symbol, Expr]
    fractions: Any
    rates: dict[Symbol, Any] = field(default_factory=dict)

    def expression(self, element: Any) -> Expr:
        """An element, or a polynomial of one, as an expression in the variable."""
        return element.as_expr().xreplace({**self.meaning, **self.constants})

    def derivative(self, element: Any) -> Any:
        """d/dx of an element or of a polynomial."""
        element = self.fractions(element)
        total = element.diff(self.fractions(self.variable))
        for symbol, rate in self.rates.items():
            partial = element.diff(self.fractions(symbol))
            if partial:
                total += partial * rate
        return self.reduced(total)

    def reduced(self, element: Any) -> Any:
        """The same element, with the powers of every root below its degree."""
        for symbol, (radicand, degree) in self.roots.items():
            above, below = sympy.fraction(sympy.together(radicand))
            if below != 1:
                continue
            relation = self.fractions.ring(symbol**degree - above)
            element = self.fractions(element.numer.rem(relation)) / self.fractions(element.denom.rem(relation))
        return element

    def is_zero(self, element: Any) -> bool:
        """Whether an element is proved to be zero: no term is left, or none whose number is not zero."""
        return all(sign(term.coefficient) == 0 for term in self.terms(element.numer))

    def symbols_in(self, polynomial: Any) -> set[Symbol]:
        """The variable and the generators that occur in a polynomial; constants are left out."""
        return {symbol for symbol in polynomial.as_expr().free_symbols if symbol not in self.constants}

    def terms(self, polynomial: Any) -> list[Term]:
        """A polynomial as a sum of terms with numbers for coefficients."""
        collected: dict[tuple[int, ...], Expr] = {}
        symbols = self.fractions.symbols
        names = [symbol for symbol in symbols if symbol not in self.constants]
        for monomial, coefficient in polynomial.terms():
            number = sympy.Rational(int(coefficient.numerator), int(coefficient.denominator))
            powers = dict(zip(symbols, monomial, strict=True))
            for symbol, constant in self.constants.items():
                number *= constant ** powers[symbol]
            key = tuple(powers[symbol] for symbol in names)
            collected[key] = collected.get(key, sympy.S.Zero) + number
        terms = []
        for key, number in collected.items():
            if number != 0:
                generators = {symbol: power for symbol, power in zip(names, key, strict=True) if power}
                terms.append(Term(number, generators.pop(self.variable, 0), generators))
        return terms


@dataclass(frozen=True)
class Term:
    """coefficient * x**power * product of generators**powers."""

    coefficient: Expr
    power: int
    generators: dict[Symbol, int]


def field_of(expr: Expr, variable: Symbol) -> tuple[Field, Any]:
    """A field that holds a smooth expression and its derivatives, and the expression as its element.

    Raises `Undecided` for an expression with free parameters, and for functions outside the known ones.
    """
    if expr.free_symbols - {variable}:
        raise Undecided(f"{expr} has parameters without values")
    exponential = in_exponentials(expr, variable)
    atoms: set[Expr] = set()
    waiting = [exponential]
    for _ in range(_ROUNDS):
        new = {atom for form in waiting for atom in _atoms(form, variable)} - atoms
        atoms |= new
        waiting = [in_exponentials(atom.diff(variable), variable) for atom in new if not isinstance(atom, sympy.exp)]
        if not waiting:
            break
    else:
        raise Undecided(f"the derivatives of {expr} bring ever new functions")
    converter = _Converter(variable)
    converter.name(atoms)
    converted = converter.convert(exponential)
    rates = {symbol: converter.rate(symbol) for symbol in converter.meaning}
    symbols = [*converter.roots, *(s for s in converter.meaning if s not in converter.roots)]
    constants = {symbol: number for number, symbol in converter.constants.items()}
    fractions = FracField([*symbols, variable, *constants], QQ, "lex")
    complete = Field(
        variable,
        converter.meaning,
        constants,
        converter.exponents,
        converter.roots,
        {
            s: converter.convert(in_exponentials(e.args[0], variable))
            for s, e in converter.meaning.items()
            if isinstance(e, sympy.log)
        },
        fractions,
        {symbol: fractions.from_expr(rate) for symbol, rate in rates.items()},
    )
    return complete, complete.reduced(fractions.from_expr(converted))


def in_exponentials(expr: Expr, variable: Symbol) -> Expr:
    """tanh, sinh and cosh by exponentials, exp(n log(u)) as u**n, and 2**x as exp(x log(2))."""
    if not expr.has(variable) or not expr.args:
        return expr
    arguments = [in_exponentials(argument, variable) for argument in expr.args]
    if isinstance(expr, sympy.tanh | sympy.sinh | sympy.cosh):
        grown = _exponential(arguments[0])
        if isinstance(expr, sympy.tanh):
            squared = _exponential(2 * arguments[0])
            return (squared - 1) / (squared + 1)
        return (grown + (1 if isinstance(expr, sympy.cosh) else -1) / grown) / 2
    if isinstance(expr, sympy.exp):
        return _exponential(arguments[0])
    if isinstance(expr, sympy.erfc):
        return 1 - sympy.erf(arguments[0])
    if expr.is_Pow and arguments[1].has(variable):
        return _exponential(arguments[1] * sympy.log(arguments[0]))
    return expr.func(*arguments)


def _exponential(exponent: Expr) -> Expr:
    """Exp of a sum, a factor for each term that is a multiple of a logarithm."""
    result, rest = sympy.S.One, sympy.S.Zero
    for term in sympy.Add.make_args(sympy.expand(exponent)):
        number, other = term.as_coeff_Mul()
        if isinstance(other, sympy.log) and number.is_Rational:
            result *= other.args[0] ** number
        else:
            rest += term
    return result * sympy.exp(rest)


def _atoms(expr: Expr, variable: Symbol) -> set[Expr]:
    """The subexpressions that need a generator: exponentials, roots and opaque functions."""
    found = set()
    for node in sympy.preorder_traversal(expr):
        if not node.has(variable):
            continue
        if isinstance(node, (sympy.exp, *_OPAQUE)):
            found.add(node)
        elif node.is_Pow and not node.exp.is_Integer:
            if not node.exp.is_Rational:
                raise Undecided(f"the power {node} has an irrational exponent")
            found.add(node.base ** sympy.Rational(1, node.exp.q))
        elif node.is_Function:
            raise Undecided(f"{node.func.__name__} has no form here")
    return found


class _Converter:
    """Names for the generators and irrational constants of one field, given as they turn up."""

    def __init__(self, variable: Symbol) -> None:
        self.variable = variable
        self.meaning: dict[Symbol, Expr] = {}
        self.exponents: dict[Symbol, Poly] = {}
        self.roots: dict[Symbol, tuple[Expr, int]] = {}
        self.constants: dict[Expr, Symbol] = {}
        self._opaque: dict[Expr, Symbol] = {}
        self._by_base: dict[Expr, tuple[Symbol, int]] = {}

    def name(self, atoms: set[Expr]) -> None:
        ordered = sorted(atoms, key=sympy.default_sort_key)
        self._name_exponentials([atom for atom in ordered if isinstance(atom, sympy.exp)])
        for atom in ordered:
            if isinstance(atom, _OPAQUE):
                self._opaque[atom] = symbol = Dummy(atom.func.__name__, real=True)
                self.meaning[symbol] = atom
        degrees: dict[Expr, list[int]] = {}
        for atom in ordered:
            if atom.is_Pow and not isinstance(atom, sympy.exp):
                degrees.setdefault(atom.base, []).append(int(atom.exp.q))
        for base, found in degrees.items():
            degree = math.lcm(*found)
            symbol = Dummy("s", positive=True)
            self.meaning[symbol] = base ** sympy.Rational(1, degree)
            self._by_base[base] = symbol, degree
            self.roots[symbol] = self.convert(base), degree

    def _name_exponentials(self, atoms: list[Expr]) -> None:
        groups: list[list[Poly]] = []
        for atom in atoms:
            exponent = self._exponent(atom)
            if exponent is None:
                self._opaque[atom] = symbol = Dummy("E", positive=True)
                self.meaning[symbol] = atom
                continue
            group = next((group for group in groups if _ratio(exponent, group[0]) is not None), None)
            if group is None:
                groups.append([exponent])
            else:
                group.append(exponent)
        for group in groups:
            ratios = [_ratio(exponent, group[0]) for exponent in group]
            step = functools.reduce(common_step, ratios)
            base = group[0] * step
            if sign_of(base.LC()) == -1:
                base = -base
            symbol = Dummy("W", positive=True)
            self.meaning[symbol] = sympy.exp(base.as_expr())
            self.exponents[symbol] = base

    def _exponent(self, atom: Expr) -> Poly | None:
        """The exponent without its constant term, as a polynomial; None for another function."""
        polynomial = sympy.expand(atom.args[0]).as_poly(self.variable)
        if polynomial is None:
            return None
        return polynomial - polynomial.eval(0)

    def rate(self, symbol: Symbol) -> Expr:
        """The derivative of a generator."""
        if symbol in self.exponents:
            return symbol * self.convert(self.exponents[symbol].diff().as_expr())
        if symbol in self.roots:
            radicand, degree = self.roots[symbol]
            base = self.meaning[symbol] ** degree
            return symbol * self.convert(in_exponentials(base.diff(self.variable), self.variable)) / (degree * radicand)
        return self.convert(in_exponentials(self.meaning[symbol].diff(self.variable), self.variable))

    def convert(self, expr: Expr) -> Expr:
        """An expression in exponentials, by symbols."""
        if expr.is_number:
            return self._constant(expr)
        if expr in self._opaque:
            return self._opaque[expr]
        if isinstance(expr, sympy.exp):
            return self._converted_exponential(expr)
        if expr.is_Pow and not expr.exp.is_Integer:
            symbol, degree = self._by_base[expr.base]
            return symbol ** int(expr.exp * degree)
        return expr.func(*(self.convert(argument) for argument in expr.args)) if expr.args else expr

    def _converted_exponential(self, expr: Expr) -> Expr:
        exponent = self._exponent(expr)
        assert exponent is not None
        constant = sympy.expand(expr.args[0] - exponent.as_expr())
        for symbol, base in self.exponents.items():
            ratio = _ratio(exponent, base)
            if ratio is not None:
                return self.convert(sympy.exp(constant)) * symbol ** int(ratio)
        raise AssertionError(f"{expr} was not named")

    def _constant(self, number: Expr) -> Expr:
        if number.is_Rational:
            return number
        if number is sympy.pi:
            return self._named(sympy.sqrt(sympy.pi)) ** 2
        if number.is_Pow and number.exp.is_Rational and number.base is sympy.pi and number.exp.q in (1, 2):
            return self._named(sympy.sqrt(sympy.pi)) ** int(2 * number.exp)
        if number.is_Pow and number.exp.is_Rational and not number.exp.is_Integer and number.base is not sympy.E:
            return self._named(number.base ** sympy.Rational(1, number.exp.q)) ** int(number.exp.p)
        if number.is_Add or number.is_Mul or (number.is_Pow and number.exp.is_Integer and number.base is not sympy.E):
            return number.func(*(self._constant(argument) for argument in number.args))
        return self._named(number)

    def _named(self, number: Expr) -> Symbol:
        return self.constants.setdefault(number, Dummy("k", real=True))


def _ratio(one: Poly, other: Poly) -> sympy.Rational | None:
    """The rational r with one = r * other, if there is one."""
    if one.degree() != other.degree():
        return None
    ratio = sympy.nsimplify(sympy.cancel(one.LC() / other.LC())) if one.LC() != other.LC() else sympy.S.One
    if not ratio.is_Rational:
        return None
    difference = (one.as_expr() - ratio * other.as_expr()).expand()
    return ratio if difference == 0 else None


def common_step(one: sympy.Rational, other: sympy.Rational) -> sympy.Rational:
    """The largest rational of which both are integer multiples."""
    common = Fraction(math.gcd(int(one.p * other.q), int(other.p * one.q)), int(one.q * other.q))
    return sympy.Rational(common.numerator, common.denominator)
