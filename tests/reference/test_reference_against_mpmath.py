"""The reference against a second road: mpmath at 60 digits and more, derivatives by its difference quotients."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

from relusym import activations
from relusym.activation import Activation, parameter_values
from relusym.floats import FORMATS, Format, from_ordinal, ordinal, round_to, to_format
from relusym.rounding import reference

INPUTS_EACH = 12


def inputs(name: str, form: Format) -> Any:
    """Ordinary magnitudes of both signs, other ones for each activation."""
    random = np.random.default_rng([ord(letter) for letter in name])
    wide = np.concatenate(
        [
            random.uniform(-9, 9, INPUTS_EACH - 4),
            np.exp2(random.uniform(-12, 0, 4)) * random.choice([-1, 1], 4),
        ]
    )
    return to_format(round_to(wide, form), form)


def by_mpmath(activation: Activation, order: int) -> Any:
    (variable,) = activation.inputs
    expr = activation.expr.xreplace(dict(parameter_values(activation, None).items()))
    f = sympy.lambdify(variable, expr, "mpmath")
    return lambda x: f(mpmath.mpf(x)) if order == 0 else mpmath.diff(f, mpmath.mpf(x), order)


def fraction(number: Any) -> Fraction:
    sign, mantissa, exponent, _ = mpmath.mpf(number)._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def assert_nearest(value: Any, exact: Fraction, noise: Fraction, form: Format, where: str) -> None:
    """No float is nearer to the exact value than this one, as far as the oracle is sure."""
    position = ordinal(np.array([value], dtype=form.dtype))
    distance = abs(Fraction(float(value)) - exact)
    for step in (-1, 1):
        other = from_ordinal(position + step, form)[0]
        assert distance <= abs(Fraction(float(other)) - exact) + noise, where


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", [each.name for each in activations.catalogue()])
def test_reference_is_the_float_nearest_to_the_mpmath_value(name: str, order: int) -> None:
    activation = activations.named(name)
    evaluate = by_mpmath(activation, order)
    with mpmath.workdps(60 + 80 * (order > 0)):
        for form in FORMATS.values():
            x = inputs(name, form)
            found = reference(activation, x, order=order)
            assert not found.undecided.size
            for at, number in enumerate(x.tolist()):
                exact = fraction(evaluate(float(number)))
                noise = max(abs(exact), Fraction(1, 10**30)) / 10**25
                where = f"{name} order {order} at {float(number).hex()} in {form.name}"
                assert_nearest(found.value[at], exact, noise, form, where)


@pytest.mark.parametrize("name", ["gelu", "mish", "softplus", "silu", "snake"])
def test_offset_says_how_far_the_exact_value_lies_from_the_rounded_one(name: str) -> None:
    activation = activations.named(name)
    evaluate = by_mpmath(activation, 0)
    for form, sharp in ((FORMATS["float32"], 2.0**-12), (FORMATS["float64"], 2.0**-5)):
        x = inputs(name, form)
        found = reference(activation, x)
        with mpmath.workdps(60):
            for value, offset, number in zip(found.value.tolist(), found.offset.tolist(), x.tolist(), strict=True):
                spacing = Fraction(float(np.spacing(np.abs(np.asarray(value, dtype=form.dtype)))))
                difference = (fraction(evaluate(number)) - Fraction(value)) / spacing
                assert abs(float(difference) - offset) <= sharp


@pytest.mark.parametrize(
    ("name", "wrt", "by_hand"),
    [
        ("softplus", "beta", lambda x: x / (1 + mpmath.exp(-x)) - mpmath.log(1 + mpmath.exp(x))),
        ("swish", "beta", lambda x: x * x * mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2),
        ("elu", "alpha", lambda x: mpmath.expm1(x) if x <= 0 else mpmath.mpf(0)),
    ],
)
def test_partial_derivative_by_a_parameter(name: str, wrt: str, by_hand: Any) -> None:
    form = FORMATS["float64"]
    x = inputs(name, form)
    found = reference(activations.named(name), x, wrt=wrt)
    with mpmath.workdps(60):
        for value, number in zip(found.value, x.tolist(), strict=True):
            exact = fraction(by_hand(mpmath.mpf(number)))
            assert_nearest(value, exact, abs(exact) / 10**30, form, f"{name} by {wrt} at {number!r}")


def test_factor_is_multiplied_before_the_one_rounding() -> None:
    form = FORMATS["float16"]
    x = inputs("silu", form)
    factor = inputs("factor", form)
    found = reference(activations.named("silu"), x, order=1, factor=factor)
    evaluate = by_mpmath(activations.named("silu"), 1)
    with mpmath.workdps(100):
        for value, number, times in zip(found.value, x.tolist(), factor.tolist(), strict=True):
            exact = fraction(evaluate(number)) * Fraction(times)
            assert_nearest(value, exact, abs(exact) / 10**30, form, f"{times!r} * silu'({number!r})")
