"""The allow-list grammar: what it reads, and what it refuses before doing any arithmetic."""

import time

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Max, Min, Piecewise, Rational, Symbol, cosh, exp, log, sign, sqrt, tanh

from relusym.activation import x
from relusym.errors import InvalidActivation
from relusym.parsing import parse


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        ("x*tanh(exp(x))", x * tanh(exp(x))),
        ("x/sqrt(1+x**2)", x / sqrt(1 + x**2)),
        ("log(cosh(x))", log(cosh(x))),
        ("sign(x)*log(1+Abs(x))", sign(x) * log(1 + Abs(x))),
        ("min(MAX(x, -1), 1)", Min(Max(x, -1), 1)),
        ("0.044715*x^3", Rational(44715, 10**6) * x**3),
        ("1.5e-3*x", Rational(3, 2000) * x),
        ("-x**2", -(x**2)),
        ("2**-1*x", x / 2),
        ("2**3**2*x", 512 * x),
        ("x - 1 - 2", x - 3),
        ("e**x + pi", exp(x) + sympy.pi),
        ("Piecewise((x, x > 0), (exp(x) - 1, True))", Piecewise((x, x > 0), (exp(x) - 1, True))),
        ("Piecewise((x, -1 < x <= 1), (0, True))", Piecewise((x, (x > -1) & (x <= 1)), (0, True))),
        ("Piecewise((x, (x > 0) and not (x > 3)), (0, True))", Piecewise((x, (x > 0) & (x <= 3)), (0, True))),
        ("Piecewise((x, x < 0 | x > 1), (0, True))", Piecewise((x, (x < 0) | (x > 1)), (0, True))),
        ("Piecewise((1, x == 0), (x, x != 0))", Piecewise((1, sympy.Eq(x, 0)), (x, True))),
        ("Piecewise((x, (x + 1)*2 > 0), (0, True))", Piecewise((x, (x + 1) * 2 > 0), (0, True))),
    ],
)
def test_formulas_are_read_exactly(text, expr):
    assert parse(text).expr == expr


def test_other_identifiers_are_real_parameters_without_a_default():
    activation = parse("alpha*x + beta")
    assert [parameter.name for parameter in activation.parameters] == ["alpha", "beta"]
    assert all(parameter.symbol.is_real and parameter.default is None for parameter in activation.parameters)
    assert activation.parameters[0].symbol == Symbol("alpha", real=True)


REFUSED = [
    ("__import__('os').system('true')", "unexpected character"),
    ("x.__class__", "unexpected character"),
    ("lambda*x", "cannot be the name"),
    ("_a*x", "cannot be the name"),
    ("eval(x)", "no known function"),
    ("x**10**10**10", "exponents beyond 64"),
    ("x**-65", "exponents beyond 64"),
    ("x**(8*9)", "exponents beyond 64"),
    ("((9**64)**64)**64", "too large"),
    ("((((x*9)**64)**64)**64)**64", "too large"),
    ("((1/9)**64)**64*x", "too large or too small"),
    ("*".join(["9**64"] * 300), "bits"),
    ("exp(exp(exp(100)))", "too large"),
    ("1000001*x", "beyond 1000000"),
    ("1e900000000*x", "digits"),
    ("x" * 2001, "2001 characters"),
    ("(" * 60 + "x" + ")" * 60, "nested deeper"),
    ("-" * 60 + "x", "nested deeper"),
    ("2x", "write a product"),
    ("x(2)", "write a product"),
    ("x+", "expected a value"),
    ("(x", "expected"),
    ("", "expected a value"),
    ("x; x", "unexpected character"),
    ("α*x", "unexpected character"),
    ("x if x else 1", "unexpected"),
    ("exp", "parentheses"),
    ("exp(x, 2)", "takes 1 argument"),
    ("Piecewise(x, True)", "expected"),
    ("Piecewise((x, x))", "comparison"),
    ("x > 0", "unexpected"),
    ("1/0", "not a finite real number"),
    ("sqrt(-1)*x", "not a finite real number"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_refusals_are_quick_and_say_why(text, said):
    start = time.perf_counter()
    with pytest.raises(InvalidActivation, match=said):
        parse(text)
    assert time.perf_counter() - start < 1


def test_a_refusal_points_at_the_place():
    with pytest.raises(InvalidActivation) as caught:
        parse("x + foo(x)")
    lines = str(caught.value).splitlines()
    assert lines[1][lines[2].index("^")] == "f"


@given(st.text(alphabet="x0123456789.+-*/^()<>=&|~, epiabsmxTrue", max_size=40))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        activation = parse(text)
    except InvalidActivation:
        return
    assert not activation.expr.has(sympy.nan, sympy.zoo)
