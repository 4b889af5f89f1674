"""Short forms for people: simplified where that is shorter, long constants under names of their own."""

from __future__ import annotations

from functools import lru_cache, partial

import sympy
from sympy import Expr, Symbol

from relusym.deadline import within
from relusym.errors import Undecided
from relusym.signs import sign_of

_LONG = 8
# Beyond it simplify() takes seconds and seldom finds anything shorter (GELU's tanh form: 1.5 s, two longer).
_TOO_LONG_TO_SIMPLIFY = 36


@lru_cache(maxsize=1024)
def tidy(expr: Expr) -> Expr:
    """The shortest of a few equal forms; the expression itself where SymPy takes too long."""
    if sympy.count_ops(expr) <= 2:
        return expr
    # Large fractions in exponents make polynomials of their numerator's degree: 851/500 took six seconds.
    large = {number for number in expr.atoms(sympy.Rational) if number > 0 and max(number.p, number.q) > 20}
    large |= {-number for number in expr.atoms(sympy.Rational) if number < 0 and max(-number.p, number.q) > 20}
    names = {number: sympy.Dummy(positive=True) for number in large}
    back = {name: number for number, name in names.items()}
    plain = expr.xreplace({**names, **{-number: -name for number, name in names.items()}})
    forms = [plain]
    rewrites = [sympy.factor_terms, sympy.factor]
    if sympy.count_ops(plain) <= _TOO_LONG_TO_SIMPLIFY:
        rewrites.append(sympy.simplify)
    for rewrite in rewrites:
        try:
            forms.append(within(0.7, partial(rewrite, plain)))
        except (Undecided, ValueError, TypeError, AttributeError):
            continue
    known = [expr, *(form.xreplace(back) for form in forms)]
    known = [form for form in known if not form.has(sympy.I, sympy.Piecewise, sympy.nan, sympy.zoo)]
    return min(known, key=lambda form: (sympy.count_ops(form), len(str(form))), default=expr)


def name_constants(exprs: list[Expr]) -> tuple[list[Expr], dict[Symbol, Expr]]:
    """The expressions with each long constant replaced by c1, c2, ..., and what these stand for."""
    names: dict[Expr, Symbol] = {}
    renamed = [_rename(expr, names) for expr in exprs]
    return renamed, {symbol: constant for constant, symbol in names.items()}


def _rename(expr: Expr, names: dict[Expr, Symbol]) -> Expr:
    if expr.is_number:
        if sympy.count_ops(expr) <= _LONG:
            return expr
        for constant, symbol in names.items():
            if constant == expr or sign_of(constant - expr) == 0:
                return symbol
        return names.setdefault(expr, Symbol(f"c{len(names) + 1}", real=True))
    if not expr.args:
        return expr
    if expr.is_Mul or expr.is_Add:
        constants = [argument for argument in expr.args if argument.is_number]
        others = [_rename(argument, names) for argument in expr.args if not argument.is_number]
        return expr.func(_rename(expr.func(*constants), names), *others)
    return expr.func(*(_rename(argument, names) for argument in expr.args))
