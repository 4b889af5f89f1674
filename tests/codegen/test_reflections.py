"""Functions with f(x) - f(-x) = x are found, written for one side, and reflected without a loss."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from relusym_codegen.enclosures import enclosure
from relusym_codegen.program import Builder, evaluate
from relusym_codegen.reflections import MAGNITUDE, falling_side, one_sided, reflected
from relusym_codegen.rewrites import stabilise
from relusym_codegen.translation import translate

from relusym import activations, parse
from relusym.activation import x
from relusym.floats import FORMATS

RAMPS = {"gelu": -1, "gelu_tanh": -1, "quick_gelu": -1, "silu": -1, "softplus": -1, "logsigmoid": 1}
F64 = FORMATS["float64"]


def definition(name: str) -> sympy.Expr:
    activation = activations.named(name)
    return activation.expr.subs({each.symbol: each.default for each in activation.parameters})


@pytest.mark.parametrize("name", RAMPS)
def test_the_side_where_a_ramp_falls_is_found(name: str) -> None:
    assert falling_side(definition(name), x) == RAMPS[name]


@pytest.mark.parametrize("name", ["sigmoid", "tanh", "mish", "softsign", "tanhshrink"])
def test_no_reflection_is_made_up(name: str) -> None:
    assert falling_side(definition(name), x) is None


def test_a_ramp_that_falls_nowhere_is_left_alone() -> None:
    # x/2 + x^2 obeys f(x) - f(-x) = x, but would be computed from two large numbers
    assert falling_side(parse("x/2 + x**2").expr, x) is None


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", RAMPS)
def test_every_formula_of_one_side_reflects_to_the_function(name: str, order: int) -> None:
    expr = definition(name)
    stable = stabilise(expr, x)
    for _ in range(order):
        stable = stabilise(sympy.diff(stable, x), x)
    side = RAMPS[name]
    points = np.array([-30.0, -7.5, -2.25, -0.25, -(2.0**-20), 2.0**-20, 0.25, 2.75, 6.0, 30.0])  # away from the roots
    for formula in one_sided(stable, x, side):
        assert formula.free_symbols == {MAGNITUDE}
        b = Builder(("x",), F64)
        value = translate(b, formula, {MAGNITUDE: b("abs", "x")})
        (got,) = evaluate(b.program(reflected(b, order, side, value)), {"x": points})
        for at, shown in zip(points, got, strict=True):
            ball = enclosure(sympy.diff(expr, x, order), x, sympy.Rational(at))
            assert ball is not None
            assert abs(shown - float(ball.mid())) <= 2.0**-45 * max(abs(float(ball.mid())), 2.0**-60), (formula, at)
