"""Functions with f(x) - f(-x) = x: computed on the side where they fall, and reflected to the other.

gelu, silu and their kin are the ramp and an even function: f(x) = max(x, 0) + f(-|x|), so that one formula of |x|
serves both signs and nothing need be chosen before the last step. Their derivatives obey f'(x) + f'(-x) = 1.
"""

from __future__ import annotations

from fractions import Fraction

import sympy
from sympy import Expr, Symbol

from relusym.calculus.symmetry import vanishes
from relusym_codegen.enclosures import enclosure
from relusym_codegen.primitives import NormalRamp, NormalTail, Stable
from relusym_codegen.program import Builder, Operand

MAGNITUDE = Symbol("magnitude", positive=True)
"""Stands for |x| in the formula of one side."""


def falling_side(expr: Expr, variable: Symbol) -> int | None:
    """The side, -1 or 1, where f falls to zero, if f(x) - f(-x) = x is proved on the whole line; else None."""
    if expr.free_symbols != {variable} or not vanishes(
        expr - expr.subs(variable, -variable) - variable, variable, -sympy.oo, sympy.oo
    ):
        return None
    for side in (-1, 1):
        fallen = (enclosure(expr, variable, Fraction(side * at)) for at in _FAR)
        if all(value is not None and abs(value) < 2.0**-40 for value in fallen):
            return side
    return None


_FAR = (40, 2**20, 2**60, 2**120)
"""Where exponentials have fallen below 2^-40, and what grows would show."""


def one_sided(expr: Expr, variable: Symbol, side: int) -> list[Expr]:
    """Formulas of `MAGNITUDE` for `expr`, a stable formula, at side * |x|: exponentials as factors in front."""
    moved = expr.subs(variable, side * MAGNITUDE)
    opened = moved.replace(lambda node: isinstance(node, Stable), _opened)
    opened = opened.subs(MAGNITUDE * NormalTail(MAGNITUDE), NormalRamp(MAGNITUDE))
    collected = sympy.factor_terms(opened)
    return list(dict.fromkeys([collected, sympy.factor(sympy.together(opened), deep=False)]))


def _opened(node: Stable) -> Expr:
    (argument, *others) = node.args
    if others:
        return node
    if argument.is_nonpositive:
        return type(node).one_sided(-argument, -1) or node
    return (type(node).one_sided(argument, 1) if argument.is_nonnegative else None) or node


def reflected(b: Builder, order: int, side: int, value: Operand) -> Operand:
    """The derivative of this order, at most the second, at x, from its `value` at side * |x|."""
    if order == 0:
        return b("add", b("max" if side < 0 else "min", "x", 0.0), value)
    if order == 1:
        return b("select", b("lt" if side < 0 else "gt", "x", 0.0), value, b("sub", 1.0, value))
    return value
