"""An activation as people write it: its formula in C, with no rewriting but that constants are numbers.

A fair peer for our kernels is neither naive nor clever: constants are folded, small powers are products, what occurs
twice is computed once. It may overflow where the value does not, and lose digits.
"""

from __future__ import annotations

import sympy
from sympy.codegen.ast import float32, float64, real
from sympy.printing.c import C99CodePrinter

from relusym.activation import parameter_values
from relusym.activations import named


class _Printer(C99CodePrinter):
    def _print_Pow(self, expr: sympy.Pow) -> str:
        if expr.exp.is_Integer and 2 <= expr.exp <= 4:
            base = f"({self._print(expr.base)})"
            return f"({'*'.join([base] * int(expr.exp))})"
        return str(super()._print_Pow(expr))


def statements(name: str, computes: str, *, single: bool) -> tuple[list[tuple[str, str]], str]:
    """(variable, expression) pairs, and the result as an expression of these and of `x`; `grad` for the backward pass.

    `single` says whether functions and literals are those of float or of double. The formula is differentiated by
    SymPy for everything but `forward`.
    """
    activation = named(name)
    symbol = activation.inputs[0]
    expr = activation.expr.subs(parameter_values(activation))
    if computes != "forward":
        # Abs, Max and Min leave sign and Heaviside behind, which C does not know
        expr = sympy.diff(sympy.piecewise_fold(expr.rewrite(sympy.Piecewise)), symbol)
    if computes == "backward":
        expr = sympy.Symbol("grad") * expr
    constants = [part for part in sympy.preorder_traversal(expr) if part.is_number and not part.is_Rational]
    expr = expr.xreplace({part: part.evalf(20) for part in constants})
    temporaries, (result,) = sympy.cse(expr, symbols=sympy.numbered_symbols("t"))
    printer = _Printer({"type_aliases": {real: float32 if single else float64}})

    def text(part: sympy.Expr) -> str:
        return " ".join(printer.doprint(part).split())

    return [(str(variable), text(part)) for variable, part in temporaries], text(result)


def operation(name: str, computes: str, dtype: str) -> str:
    """The body of a CuPy ElementwiseKernel with inputs `v` (and `g`) and output `y`, all of type T.

    Its arithmetic is in float, for float64 in double.
    """
    single = dtype != "float64"
    scalar = "float" if single else "double"
    lines, result = statements(name, computes, single=single)
    body = [f"const {scalar} x = static_cast<{scalar}>(v);"]
    if computes == "backward":
        body.append(f"const {scalar} grad = static_cast<{scalar}>(g);")
    body += [f"const {scalar} {variable} = {expression};" for variable, expression in lines]
    return " ".join([*body, f"y = static_cast<T>(static_cast<{scalar}>({result}));"])
