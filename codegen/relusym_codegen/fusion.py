"""Kernels that take an addition, or their own output, with them: in terms of quantities that `lower` knows.

A sum in front is one let: x + bias is rounded once to the work format, and the quantity is that of f at this number.
A backward pass from the stored output is a product: grad * g(y), g being f' as a function of f, which is the gradient
of factor * g(y) by the factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sympy import Expr, Symbol

from relusym.activation import Activation, Parameter
from relusym.calculus.outputs import slope_by_output
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym_codegen.lowering import Lowered
from relusym_codegen.program import Let, renamed
from relusym_codegen.signatures import Signature

FACTOR = Symbol("factor", real=True)
"""What the slope is multiplied by, so that its gradient is the product with the incoming one."""


def with_addend(lowered: Lowered, signature: Signature) -> Lowered:
    """The program at x plus the addend, which it takes as one more input."""
    assert signature.addend is not None
    point = signature.point
    moved = renamed(lowered.program, {point: "total"})
    inputs = tuple(
        name for given in moved.inputs for name in ((point, signature.addend) if given == "total" else (given,))
    )
    first = Let("total", "add", (point, signature.addend))
    program = replace(moved, inputs=inputs, lets=(first, *moved.lets))
    return replace(lowered, program=program)


def output_activation(
    activation: Activation, values: Mapping[Symbol, Expr], passed: tuple[Symbol, ...], policy: Policy
) -> Activation:
    """The product factor * g(y), g being f' as a function of f with the policy's slopes; y is called x as in f.

    Raises `InvalidRequest` where there is no such function, and for parameters that are passed at each call.
    """
    if passed:
        names = ", ".join(map(str, passed))
        raise InvalidRequest(
            f"{activation.name}: backward-from-output needs f' as a function of f at known parameters, and {names} "
            "would be passed at each call; fold it: arguments=(), or --arguments '' on the command line"
        )
    slope = slope_by_output(activation, values, policy)
    return replace(slope, expr=FACTOR * slope.expr, parameters=(Parameter(FACTOR, 1),))
