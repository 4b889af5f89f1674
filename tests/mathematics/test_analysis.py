"""analyse() and the formulas printed from it."""

import json
import time

import pytest
import sympy
from analyses import analysed
from sympy import Rational

from relusym.activation import Activation, x
from relusym.activations import NAMES, named
from relusym.analysis import analyse
from relusym.calculus.derivatives import derivative
from relusym.errors import InvalidRequest
from relusym.facts import Verdict
from relusym.formulas import render
from relusym.formulas.tidiness import tidy
from relusym.parsing import parse
from relusym.pieces import split


@pytest.fixture(scope="module", params=NAMES)
def analysis(request):
    return analysed(request.param)


def test_every_fact_is_proved_at_the_default_parameters(analysis):
    assert {fact.verdict for fact in analysis.facts.values()} == {Verdict.PROVED}


def test_every_format_is_printed(analysis):
    for form in ("text", "latex", "markdown", "json"):
        text = render(analysis, form)
        assert text.isprintable() or "\n" in text
        assert "zoo" not in text
    assert analysis._repr_latex_().startswith("$")


def test_every_kink_has_a_row_with_its_stated_value(analysis):
    text = render(analysis, "text")
    for kink in analysis.formula_kinks:
        assert f"x = {str(kink.at).replace('*', '·')} " in text
    assert text.count("(least-norm)") == len(analysis.formula_kinks)


def test_json_text_is_read_back_by_parse(analysis):
    document = json.loads(render(analysis, "json"))
    assert document["schema"] == 1
    values = {
        parameter.symbol.name: value
        for parameter, value in zip(analysis.activation.parameters, analysis.parameters.values(), strict=True)
    }
    for text, pieces in (
        (document["formula"]["text"], analysis.pieces),
        (document["derivative"]["text"], analysis.derivative),
    ):
        expr = parse(text).expr
        here = {symbol: values[symbol.name] for symbol in expr.free_symbols if symbol != x}
        for piece in pieces.pieces:
            point = (
                piece.lower + 1 if piece.lower.is_finite else piece.upper - 1 if piece.upper.is_finite else sympy.S.One
            )
            gap = expr.subs(here).subs(x, point) - piece.expr.subs(x, point)
            assert abs(gap.evalf(30, chop=True)) < 1e-25
        for place, value in zip(pieces.breakpoints, pieces.values, strict=True):
            assert abs((expr.subs(here).subs(x, place) - value).evalf(30, chop=True)) < 1e-25


def test_json_values_are_tagged():
    facts = json.loads(render(analyse(named("elu"), {"alpha": "1/2"}), "json"))["facts"]
    (kink,) = facts["kinks"]["value"]
    assert kink["clarke"][0]["exact"] == "1/2"
    assert kink["in_clarke"] is True
    assert facts["limits"]["value"]["+oo"] == {
        "type": "number",
        "exact": "oo",
        "decimal": None,
        "radius": None,
    }
    assert facts["limits"]["value"]["-oo"]["exact"] == "-1/2"
    snake = json.loads(render(analysed("snake"), "json"))["facts"]
    assert snake["derivative_limits"]["value"]["+oo"]["type"] == "none"
    assert snake["continuity_class"]["value"] == "infinity"


def test_relu_card_reads_as_a_textbook_prints_it():
    text = render(analysed("relu"))
    assert "f(x) = ⎧ 0    x ≤ 0\n       ⎩ x    x > 0" in text
    assert "f'(x) = ⎨ 0    x = 0   (least-norm)" in text
    assert "slopes 0 and 1, Clarke interval [0, 1], f' = 0 by least-norm" in text


def test_latex_uses_cases():
    assert r"\begin{cases} 0 & x \le 0 \\ x & x > 0 \end{cases}" in render(analysed("relu"), "latex")


def test_parameters_stay_symbols_in_the_formula_and_have_values_in_the_facts():
    analysis = analysed("elu")
    alpha = named("elu").parameters[0].symbol
    assert analysis.formula.pieces[0].expr.has(alpha)
    assert not analysis.pieces.pieces[0].expr.has(alpha)
    assert analysis.facts["continuity_class"].value == 1
    assert analyse(named("elu"), {"alpha": 2}).facts["continuity_class"].value == 0


def test_a_parameter_without_value_stays_a_symbol_in_the_facts():
    analysis = analyse(parse("Piecewise((x, x > 0), (c*(exp(x) - 1), True))"))
    assert analysis.facts["continuity_class"].conditions == ("c - 1 != 0",)


@pytest.mark.parametrize(
    "text", ["x/(1+Abs(x))", "x/sqrt(1+x**2)", "log(cosh(x))", "x*exp(-x**2)", "sign(x)*log(1+Abs(x))"]
)
def test_formulas_nobody_prepared_for_are_analysed(text):
    analysis = analyse(parse(text))
    assert {fact.verdict for fact in analysis.facts.values()} == {Verdict.PROVED}
    assert render(analysis)


def test_what_is_unknown_of_a_formula_has_a_reason_and_takes_little_time():
    """Moments of tanh(exp(x)) are hard to integrate, its third derivative has no method; the rest is proved."""
    start = time.perf_counter()
    analysis = analyse(parse("x*tanh(exp(x))"))
    unknown = {name for name, fact in analysis.facts.items() if fact.verdict is Verdict.UNKNOWN}
    assert time.perf_counter() - start < 20
    assert all(analysis.facts[name].value.reason for name in unknown)
    assert not unknown & {"range", "lipschitz", "monotonicity", "convexity", "zeros", "limits"}
    assert "UNKNOWN" in render(analysis)


def test_tidy_derivatives_are_short_and_equal():
    slope = derivative(split(named("sigmoid"))).pieces[0].expr
    assert all(abs((tidy(slope) - slope).subs(x, point).evalf(30)) < 1e-25 for point in (-2, 1, 3))
    assert tidy(slope) == 1 / (4 * sympy.cosh(x / 2) ** 2)


@pytest.mark.parametrize("name", NAMES)
def test_tidy_forms_of_both_derivatives_have_the_values_of_the_raw_ones(name):
    for order in (1, 2):
        for piece in derivative(analysed(name).pieces, order).pieces:
            gap = tidy(piece.expr) - piece.expr
            for point in (Rational(-9, 2), Rational(-1, 3), Rational(7, 5), Rational(8)):
                if piece.lower < point < piece.upper:
                    assert abs(gap.subs(x, point).evalf(40, chop=True)) < 1e-25


def test_the_second_derivative_is_printed_with_its_dirac_part_in_words():
    text = render(analysed("relu"))
    assert "f''(x) = 0\n" in text
    assert "Dirac delta of weight 1 at 0, where f' jumps" in text
    assert "also the derivative of a Dirac delta and a Dirac delta of weight -1 at -lambd" in render(
        analysed("hardshrink")
    )
    assert "also the derivative of a Dirac delta at 0, where f itself" in render(analyse(parse("Heaviside(x, 0)")))
    assert "Dirac" not in render(analysed("softsign"))


def test_a_second_derivative_keeps_its_value_between_different_forms():
    assert "⎨ 0              x = 0" in render(analysed("softsign"))


def test_quick_gelu_is_tidied_in_time():
    slope = derivative(split(named("quick_gelu"))).pieces[0].expr
    start = time.perf_counter()
    tidy(slope)
    assert time.perf_counter() - start < 2


def test_what_is_not_settled_is_unknown_with_the_reason():
    flat = Activation("flat", sympy.Piecewise((0, x <= 0), (sympy.exp(-1 / x), True)))
    fact = analyse(flat).facts["continuity_class"]
    assert fact.verdict is Verdict.UNKNOWN
    assert "order 8" in fact.value.reason


def test_unknown_format_is_refused():
    with pytest.raises(InvalidRequest, match="text, latex, markdown, json"):
        render(analysed("relu"), "html")
