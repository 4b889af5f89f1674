"""prove(): claims as people write them, settled; a refuted one comes with a witness."""

import re

import pytest
import sympy

from relusym.activation import x
from relusym.activations import named
from relusym.errors import InvalidActivation, InvalidRequest
from relusym.facts import Verdict
from relusym.parsing import parse
from relusym.proving import prove


@pytest.mark.parametrize(
    ("name", "claim"),
    [
        ("hardswish", "lipschitz <= 1.5"),
        ("sigmoid", "range subset [0, 1]"),
        ("sigmoid", "range == (0, 1)"),
        ("threshold", "range == {0} union (1, oo)"),
        ("leaky_relu", "f(x) = max(negative_slope*x, x)"),
        ("gelu", "f(x) - f(-x) = x"),
        ("silu", "f(x) - f(-x) = x"),
        ("softplus", "f(x) - f(-x) = x"),
        ("sigmoid", "f(x) + f(-x) = 1"),
        ("sigmoid", "f' = f*(1 - f)"),
        ("sigmoid", "0 < f' <= 1/4"),
        ("tanh", "f' = 1 - f**2"),
        ("tanh", "odd"),
        ("relu", "f' >= 0"),
        ("relu", "f(f(x)) = f(x)"),
        ("relu", "convex"),
        ("elu", "range subset [-1, oo)"),
        ("softplus", "f(x) >= max(x, 0)"),
        ("mish", "f'' <= 1"),
        ("snake", "f' <= 2"),
        ("snake", "strictly increasing"),
        ("hardtanh", "bounded"),
        ("gelu", "smooth"),
    ],
)
def test_true_claims_are_proved(name, claim):
    fact = prove(named(name), claim)
    assert (fact.verdict, fact.certificate) == (Verdict.PROVED, None)


@pytest.mark.parametrize(
    ("name", "claim", "parameters"),
    [
        ("hardswish", "lipschitz <= 1.49", {}),
        ("selu", "convex", {}),
        ("sigmoid", "range == [0, 1]", {}),
        ("leaky_relu", "f(x) = max(negative_slope*x, x)", {"negative_slope": 2}),
        ("mish", "f(x) - f(-x) = x", {}),
        ("gelu", "f' >= 0", {}),
        ("gelu", "increasing", {}),
        ("gelu", "odd", {}),
        ("relu", "f <= x", {}),
        ("relu", "strictly increasing", {}),
        ("relu", "differentiable", {}),
        ("hardshrink", "continuous", {}),
        ("hardshrink", "lipschitz <= 5", {}),
        ("sigmoid", "f' < 1/4", {}),
        ("elu", "lipschitz <= 1", {"alpha": 2}),
        ("elu", "convex", {"alpha": 2}),
        ("silu", "range subset [-1/4, oo)", {}),
    ],
)
def test_false_claims_are_refuted_with_a_witness(name, claim, parameters):
    fact = prove(named(name), claim, parameters)
    assert fact.verdict is Verdict.REFUTED
    assert fact.certificate.evidence["witness"]


@pytest.mark.parametrize(
    ("name", "claim", "fails"),
    [
        ("mish", "f(x) - f(-x) = x", lambda f, at: abs(f(at) - f(-at) - at) > 1e-9),
        ("gelu", "f' >= 0", lambda f, at: f(at + 1e-6) < f(at - 1e-6)),
        ("relu", "f <= x", lambda f, at: f(at) > at),
        ("hardswish", "lipschitz <= 1.49", lambda f, at: abs(f(at + 1e-6) - f(at - 1e-6)) > 1.49 * 2e-6),
    ],
)
def test_a_witness_shows_what_it_says(name, claim, fails):
    """The claim, evaluated in floating point at the witness, is false there."""
    function = sympy.lambdify(x, named(name).expr, "mpmath")
    witness = prove(named(name), claim).certificate.evidence["witness"]
    at = float(sympy.Rational(re.match(r"x = (-?\d+(?:/\d+)?)", witness).group(1)))
    assert fails(lambda point: float(function(point)), at)


def test_a_formula_typed_by_a_user_can_be_asked_about():
    assert prove(parse("x*exp(-x**2)"), "odd").verdict is Verdict.PROVED
    assert prove(parse("x/(1 + Abs(x))"), "f' = (1 - abs(f))**2").verdict is Verdict.PROVED
    assert prove(parse("log(cosh(x))"), "f <= abs(x)").verdict is Verdict.PROVED


def test_what_cannot_be_settled_is_unknown_with_the_reason():
    fact = prove(parse("x + sin(exp(x))"), "f' >= 0")
    assert fact.verdict is Verdict.UNKNOWN
    assert fact.value.reason


@pytest.mark.parametrize(
    "claim",
    [
        "__import__('os').system('true')",
        "f(x <= 1",
        "f(x) <= y",
        "range subset [1, 0]",
        "range subset everything",
        "lipschitz <= x",
        "f" * 3000,
        "",
        "f(x) <= 1; f'",
        "lipschitz <= __import__('os')",
    ],
)
def test_claims_that_are_not_understood_are_refused(claim):
    with pytest.raises((InvalidRequest, InvalidActivation)):
        prove(named("relu"), claim)
