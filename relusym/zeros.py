"""All real zeros of a guard - a function whose sign decides between branches - as exact expressions."""

from __future__ import annotations

import sympy
from sympy import Expr, FiniteSet, Symbol

from relusym.deadline import within
from relusym.errors import Undecided
from relusym.signs import sign_of


def exact_zeros(expr: Expr, variable: Symbol) -> list[Expr]:
    """Every real zero, in no order; complete, or `Undecided`.

    Polynomials of degree one and two may have parameters; others are solved by factors, as polynomials with
    rational coefficients, and last by `solveset`, which is trusted only when it lists a finite set.
    """
    if not expr.has(variable):
        if expr.is_zero:
            raise Undecided(f"{expr} is zero everywhere")
        return []
    if expr.is_nonzero:
        return []
    if expr.is_Mul:
        return [zero for factor in expr.args for zero in exact_zeros(factor, variable)]
    if expr.is_Pow and expr.base.func != sympy.exp and not expr.exp.has(variable):
        return exact_zeros(expr.base, variable) if expr.exp.is_positive else []
    if isinstance(expr, sympy.sinh | sympy.tanh | sympy.asinh | sympy.atan | sympy.erf):
        return exact_zeros(expr.args[0], variable)
    if isinstance(expr, sympy.log):
        return exact_zeros(expr.args[0] - 1, variable)
    polynomial = expr.as_poly(variable)
    if polynomial is not None and not polynomial.has(sympy.Function):
        return _zeros_of_polynomial(polynomial)
    return _zeros_by_solveset(expr, variable)


def _zeros_of_polynomial(polynomial: sympy.Poly) -> list[Expr]:
    coefficients = polynomial.all_coeffs()
    if polynomial.degree() == 1:
        slope, constant = coefficients
        if sign_of(slope) in (None, 0):
            raise Undecided(f"the sign of {slope} is not known")
        return [sympy.cancel(-constant / slope)]
    if polynomial.degree() == 2:
        square, linear, constant = coefficients
        discriminant = sign_of(linear**2 - 4 * square * constant)
        if discriminant is None or sign_of(square) in (None, 0):
            raise Undecided(f"the number of zeros of {polynomial.as_expr()} depends on the parameters")
        if discriminant < 0:
            return []
        root = sympy.sqrt(sympy.factor(linear**2 - 4 * square * constant))
        zeros = [sympy.cancel((-linear + sign * root) / (2 * square)) for sign in (-1, 1)]
        return zeros[:1] if discriminant == 0 else zeros
    if all(coefficient.is_Rational for coefficient in coefficients):
        roots = list(dict.fromkeys(sympy.real_roots(polynomial)))
        if any(root.has(sympy.CRootOf) for root in roots):
            raise Undecided(f"{polynomial.as_expr()} = 0 has no solution in square roots")
        return roots
    factors = sympy.factor(polynomial.as_expr())
    if factors.is_Mul or factors.is_Pow:
        return exact_zeros(factors, polynomial.gen)
    return _zeros_by_solveset(polynomial.as_expr(), polynomial.gen)


def _zeros_by_solveset(expr: Expr, variable: Symbol) -> list[Expr]:
    numerator, _ = sympy.fraction(sympy.together(expr))
    factored = within(2.0, lambda: sympy.factor(numerator))
    if factored.is_Mul:
        return exact_zeros(factored, variable)
    solutions = within(3.0, lambda: sympy.solveset(numerator, variable, sympy.Reals))
    if solutions is sympy.S.EmptySet:
        return []
    if not isinstance(solutions, FiniteSet):
        raise Undecided(f"the zeros of {expr} cannot be listed exactly")
    return list(solutions.args)


def singular_points(expr: Expr, variable: Symbol) -> list[Expr]:
    """Zeros of the denominators and of the arguments of logarithms, wherever they stand in the expression."""
    points: list[Expr] = []
    for node in sympy.preorder_traversal(expr):
        if node.is_Pow and node.exp.could_extract_minus_sign() and node.base.has(variable):
            points += exact_zeros(node.base, variable)
        elif isinstance(node, sympy.log) and node.has(variable):
            points += exact_zeros(node.args[0], variable)
    return points
