"""Functions of several inputs or values: their form, their gradients at any point, and what is true of them."""

import json
import re
from collections.abc import Callable
from typing import cast

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Expr, Max, Piecewise, Rational, S, exp, log, oo, pi, sin, sqrt, symbols, tanh

from relusym import analyse, analyse_several, crelu, glu, maxout, named, reglu, render, subdifferential_at, swiglu
from relusym.activation import Activation, Number, Parameter, piecewise
from relusym.balls import enclosure
from relusym.errors import InvalidActivation, InvalidRequest, InvalidSubgradient, Undecided
from relusym.facts import Enclosed, Interval, RealSet, Verdict
from relusym.pieces import value_at
from relusym.several.forms import AffineMaximum, GatedUnit, Values

a, b, c = symbols("a b c", real=True)
WHOLE = RealSet((Interval(-oo, oo, False, False),))
NUMBER = st.integers(-3, 3).map(sympy.Integer)


def of_lines(*lines: Expr) -> Activation:
    return Activation("mine", Max(*lines), inputs=(a, b))


def number(value: object) -> float:
    assert isinstance(value, Expr | Enclosed)
    return float(enclosure(value, 60).mid())


# --- maxima ---


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 5), st.data())
def test_slopes_of_a_maxout_in_any_direction_are_the_largest_over_the_subdifferential(
    k: int, data: st.DataObject
) -> None:
    """The maximum is piecewise linear: a quotient over a small step is its one-sided slope, exactly."""
    at, direction = (data.draw(st.lists(NUMBER, min_size=k, max_size=k)) for _ in range(2))
    found = subdifferential_at(maxout(k), {f"z{n}": value for n, value in enumerate(at, 1)})
    assert len(found.vertices) == at.count(max(at))
    step = Rational(1, 100)
    moved = [value + step * along for value, along in zip(at, direction, strict=True)]
    support = max(sum(v * d for v, d in zip(vertex, direction, strict=True)) for vertex in found.vertices)
    assert (max(moved) - max(at)) / step == support


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(NUMBER, NUMBER, NUMBER), min_size=2, max_size=5), st.tuples(NUMBER, NUMBER), st.data())
def test_the_same_holds_for_a_maximum_of_any_lines(
    lines: list[tuple[Expr, Expr, Expr]], at: tuple[Expr, Expr], data: st.DataObject
) -> None:
    activation = of_lines(*(p * a + q * b + r for p, q, r in lines))
    direction = data.draw(st.tuples(NUMBER, NUMBER))

    def value(*place: Expr) -> Expr:
        return max(p * place[0] + q * place[1] + r for p, q, r in lines)

    if isinstance(activation.expr, Max):
        found = subdifferential_at(activation, {"a": at[0], "b": at[1]})
        step = Rational(1, 1000)
        quotient = (value(*(x + step * d for x, d in zip(at, direction, strict=True))) - value(*at)) / step
        assert quotient == max(v[0] * direction[0] + v[1] * direction[1] for v in found.vertices)


def test_the_least_subgradient_at_a_tie_shares_equally() -> None:
    found = subdifferential_at(maxout(3), {"z1": 1, "z2": 1, "z3": 0})
    assert str(found) == "conv{(1, 0, 0), (0, 1, 0)}"
    assert found.least_norm == (Rational(1, 2), Rational(1, 2), 0)
    assert found.contains(["0.25", "0.75", 0])
    assert not found.contains([Rational(1, 2), Rational(1, 2), Rational(1, 10**20)])


@pytest.mark.parametrize("policy", ["first", "last"])
def test_at_ties_a_policy_may_take_one_of_the_largest(policy: str) -> None:
    analysis = analyse_several(maxout(3), subgradient=policy)
    assert policy in str(analysis.facts["subdifferential"].value)
    assert f"the gradient of the {policy} of those that are largest" in render(analysis)


@pytest.mark.parametrize("policy", ["left", "midpoint", "torch", 1])
def test_a_policy_that_says_nothing_about_ties_is_refused(policy: str | int) -> None:
    with pytest.raises(InvalidSubgradient, match="ties of a maximum; known: least-norm, first, last"):
        analyse_several(maxout(2), subgradient=policy)


def density(k: int) -> Callable[[mpmath.mpf], mpmath.mpf]:
    return lambda z: k * mpmath.npdf(z) * mpmath.ncdf(z) ** (k - 1)


@pytest.mark.parametrize("k", [2, 3, 5, 7])
def test_moments_of_a_maxout_are_those_of_the_density_of_the_maximum(k: int) -> None:
    facts = analyse_several(maxout(k)).facts
    mean = mpmath.quad(lambda z: z * density(k)(z), [-12, -4, 0, 2, 4, 12])
    square = mpmath.quad(lambda z: z**2 * density(k)(z), [-12, -4, 0, 2, 4, 12])
    assert number(facts["gaussian_mean"].value) == pytest.approx(float(mean), rel=1e-12)
    assert number(facts["gaussian_second_moment"].value) == pytest.approx(float(square), rel=1e-12)
    assert number(facts["gain_forward"].value) == pytest.approx(float(1 / mpmath.sqrt(square)), rel=1e-12)


def test_moments_of_a_maxout_have_closed_forms_where_they_are_known() -> None:
    known = {2: (1 / sqrt(pi), S.One), 3: (3 / (2 * sqrt(pi)), 1 + sqrt(3) / (2 * pi))}
    for k, (mean, square) in known.items():
        facts = analyse_several(maxout(k), sigma=2).facts
        assert sympy.simplify(facts["gaussian_mean"].value - 2 * mean) == 0
        assert sympy.simplify(facts["gaussian_second_moment"].value - 4 * square) == 0
    assert isinstance(analyse_several(maxout(6)).facts["gaussian_mean"].value, Enclosed)


@pytest.mark.parametrize("k", [2, 11])
def test_what_is_true_of_every_maxout(k: int) -> None:
    facts = analyse_several(maxout(k)).facts
    assert facts["convex"].verdict is Verdict.PROVED
    assert facts["concave"].verdict is Verdict.REFUTED
    assert facts["continuity_class"].value == 0
    assert facts["homogeneity"].value == {"degree": 1}
    assert facts["lipschitz"].value == {"2-norm": 1, "sup-norm": 1}
    assert facts["range"].value == WHOLE
    assert facts["monotonicity"].value == {f"z{n}": "increasing" for n in range(1, k + 1)}
    assert facts["gradient_second_moments"].value == {"each input": Rational(1, k), "sum": 1}
    assert not [fact.claim for fact in facts.values() if fact.verdict is Verdict.UNKNOWN]


def test_inputs_keep_their_order_beyond_nine() -> None:
    """SymPy sorts by names: z10 comes before z2."""
    form = analyse_several(maxout(11)).form
    assert isinstance(form, AffineMaximum)
    assert form.is_of_inputs


def test_a_maxout_of_two_is_relu_absolute_value_and_leaky_relu() -> None:
    cases = analyse_several(maxout(2)).special_cases
    assert all(fact.verdict is Verdict.PROVED for fact in cases.values())
    claims = list(cases)
    assert claims[:2] == ["f(x, 0) = relu(x)", "f(x, -x) = |x|"]
    assert claims[2].endswith("if and only if negative_slope <= 1")
    assert "2 and 1 for negative_slope = 2" in cases[claims[2]].method
    assert not analyse_several(maxout(3)).special_cases


@pytest.mark.parametrize(
    ("lines", "name", "value"),
    [
        ((2 * a - b, a + 1, -b), "lipschitz", {"2-norm": sqrt(5), "sup-norm": 3}),
        ((2 * a - b, a + 1, -b), "monotonicity", {"a": "increasing", "b": "decreasing"}),
        ((a, -a, b), "monotonicity", {"a": "none", "b": "increasing"}),
        ((a + b, 2 * a + b), "monotonicity", {"a": "strictly increasing", "b": "strictly increasing"}),
        ((a, -a, b, -b), "range", RealSet((Interval(S.Zero, oo, True, False),))),
        ((a, b + 1), "range", WHOLE),
        ((a, 2 * b), "homogeneity", {"degree": 1}),
        ((a, b + 1), "homogeneity", False),
        ((a, b + 1), "concave", False),
    ],
)
def test_a_maximum_of_affine_functions_has_its_facts(lines: tuple[Expr, ...], name: str, value: object) -> None:
    assert analyse_several(of_lines(*lines)).facts[name].value == value


def test_what_is_not_derived_of_a_maximum_is_unknown() -> None:
    facts = analyse_several(of_lines(a, -a, b, -b, S.One)).facts
    assert facts["range"].verdict is Verdict.UNKNOWN
    assert facts["gaussian_mean"].verdict is Verdict.UNKNOWN


# --- gated units ---

GATES = ("glu", "reglu", "swiglu")


@pytest.mark.parametrize("name", GATES)
def test_witnesses_against_convexity_and_concavity_are_chords_on_the_wrong_side(name: str) -> None:
    activation, analysis = named(name), analyse_several(named(name))
    for claim, direction in (("convex", 1), ("concave", -1)):
        fact = analysis.facts[claim]
        assert fact.verdict is Verdict.REFUTED
        assert fact.certificate is not None
        places = re.findall(r"f\(([^)]*)\)", fact.certificate.evidence["witness"])
        middle, one, other = ([Rational(part) for part in place.split(",")] for place in places)
        assert [2 * part for part in middle] == [x + y for x, y in zip(one, other, strict=True)]
        values = [
            activation.expr.subs(dict.fromkeys(activation.expr.free_symbols - {a, b}, 1)).subs({a: p, b: q})
            for p, q in (middle, one, other)
        ]
        assert direction * (2 * values[0] - values[1] - values[2]).evalf() > 0


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("sigma", [1, Rational(3, 2)])
def test_moments_of_a_gated_unit_are_integrals_of_its_gate(name: str, sigma: Expr) -> None:
    facts = analyse_several(named(name), sigma=sigma).facts
    gate = named(name).expr.subs({a: 1, symbols("beta", real=True): 1})
    scale, ends = mpmath.mpf(float(sigma)), [-12, -4, 0, 4, 12]

    def expected(expr: Expr) -> float:
        function = sympy.lambdify(b, expr, "mpmath")
        return float(mpmath.quad(lambda z: function(scale * z) ** 2 * mpmath.npdf(z), ends))

    by_factor, by_gate = expected(gate), expected(sympy.diff(gate, b)) * float(scale) ** 2
    moments = facts["gradient_second_moments"].value
    assert isinstance(moments, dict)
    assert facts["gaussian_mean"].value == 0
    assert number(facts["gaussian_second_moment"].value) == pytest.approx(float(scale) ** 2 * by_factor, rel=1e-10)
    assert number(moments["a"]) == pytest.approx(by_factor, rel=1e-10)
    assert number(moments["b"]) == pytest.approx(by_gate, rel=1e-10)
    assert number(facts["gain_backward"].value) == pytest.approx((by_factor + by_gate) ** -0.5, rel=1e-10)


def test_what_is_true_of_reglu() -> None:
    facts = analyse_several(reglu).facts
    assert facts["kinks"].value == "b = 0, a != 0"
    assert facts["homogeneity"].value == {"degree": 2}
    assert facts["lipschitz"].value == {"2-norm": oo, "sup-norm": oo}
    assert facts["monotonicity"].value == {"a": "increasing", "b": "none"}
    assert facts["range"].value == WHOLE
    box = cast(dict[str, Expr], facts["lipschitz_on_a_box"].value)
    assert str(box["2-norm"]) == "sqrt(A**2 + B**2)"
    assert not [fact.claim for fact in facts.values() if fact.verdict is Verdict.UNKNOWN]


@pytest.mark.parametrize("factor", [-2, 0, Rational(1, 3)])
def test_the_subdifferential_of_reglu_at_its_kink_is_a_segment_where_the_factor_is_not_zero(factor: Number) -> None:
    found = subdifferential_at(reglu, {"a": factor, "b": 0})
    assert set(found.vertices) == {(0, 0), (0, factor)}
    assert found.contains([0, sympy.sympify(factor) / 2])
    assert not found.contains([Rational(1, 10**9), 0])
    assert found.least_norm == (0, 0)


@settings(deadline=None, max_examples=8)
@given(NUMBER, NUMBER)
def test_the_subdifferential_of_a_smooth_gate_is_its_gradient(at_a: Expr, at_b: Expr) -> None:
    found = subdifferential_at(glu, {"a": at_a, "b": at_b})
    (gradient,) = found.vertices
    for symbol, slope in zip((a, b), gradient, strict=True):
        expected = glu.expr.diff(symbol).subs({a: at_a, b: at_b})
        assert abs((slope - expected).evalf(30)) < 1e-25
    assert found.contains(gradient)


def test_swiglu_is_silu_gated_and_its_limits_are_bilinear_and_reglu() -> None:
    assert list(analyse_several(swiglu).special_cases) == [
        "f(a, b) = a silu(b)",
        "beta = 0: f(a, b) = a b/2",
        "beta -> -oo: f(a, b) -> a (-relu(-b))",
        "beta -> oo: f(a, b) -> a relu(b)",
    ]
    assert next(iter(analyse_several(swiglu, {"beta": 2}).special_cases)) == "f(a, b) = a swish(b) at beta = 2"


def test_facts_come_from_the_formula_and_not_from_the_name() -> None:
    """A unit of a user's, with its inputs the other way round."""
    unit = Activation("mine", a * b * tanh(log(1 + exp(b))), inputs=(b, a))
    analysis = analyse_several(unit)
    assert isinstance(analysis.form, GatedUnit)
    assert analysis.form.factor == a
    assert list(analysis.special_cases) == ["f(b, a) = a mish(b)"]
    assert subdifferential_at(unit, {"b": 0, "a": 2}).contains([Rational(6, 5), 0])
    bilinear = analyse_several(Activation("product", a * b, inputs=(a, b)))
    assert bilinear.facts["homogeneity"].value == {"degree": 2}
    assert bilinear.facts["kinks"].value == "none"


def test_a_gate_that_jumps_has_no_subdifferential_there() -> None:
    unit = Activation("gated_step", a * piecewise((1, b > 0), (0, True)), inputs=(a, b))
    facts = analyse_several(unit).facts
    assert facts["kinks"].value == "b = 0"
    assert facts["continuity_class"].value == -1
    assert facts["lipschitz_on_a_box"].value == "none"
    with pytest.raises(InvalidRequest, match="jumps at 0"):
        subdifferential_at(unit, {"a": 1, "b": 0})
    assert subdifferential_at(unit, {"a": 1, "b": 2}).vertices == ((1, 0),)


def test_a_constant_gate_is_linear() -> None:
    facts = analyse_several(Activation("twice", 2 * a, inputs=(a, b))).facts
    assert facts["convex"].value is True
    assert facts["concave"].value is True
    assert facts["lipschitz"].value == {"2-norm": 2, "sup-norm": 2}
    assert facts["homogeneity"].value == {"degree": 1}


def test_a_convention_is_asked_about_the_gate() -> None:
    assert "(torch-2.13)" in render(analyse_several(reglu, subgradient="torch"))
    assert "(right)" in render(analyse_several(reglu, subgradient="right"))


def test_a_convention_holds_for_the_mirror_image_of_its_function() -> None:
    form = analyse_several(crelu, subgradient="torch").form
    assert isinstance(form, Values)
    assert [value_at(part.derivative, S.Zero) for part in form.parts] == [0, 0]
    leaking = Activation("own", piecewise((a, a > 0), (2 * a, True)), inputs=(a,), others=(a,))
    with pytest.raises(InvalidSubgradient, match="says nothing about own_1, whose kinks are at 0"):
        analyse_several(leaking, subgradient="torch")


# --- several values ---


def test_nothing_is_lost_in_crelu() -> None:
    facts = analyse_several(crelu).facts
    assert facts["injective"].value is True
    assert facts["identities"].value == (
        "y1 - y2 = x",
        "y1 + y2 = |x|",
        "|y1| + |y2| = |x|",
        "y1 y2 = 0",
        "y1^2 + y2^2 = x^2",
    )
    assert facts["lipschitz"].value == {"2-norm": 1, "sup-norm": 1}
    assert facts["homogeneity"].value == {"degree": 1}
    assert facts["gain_forward"].value == sqrt(2)
    assert facts["gain_backward"].value == 1
    assert list(analyse_several(crelu).special_cases) == ["y1 = relu(x)", "y2 = relu(-x)"]


def test_the_slopes_of_crelu_at_zero_lie_between_two_and_zero_twice_is_not_one_of_them() -> None:
    found = subdifferential_at(crelu, {"x": 0})
    assert set(found.vertices) == {(0, -1), (1, 0)}
    assert found.contains(["0.5", "-0.5"])
    assert not found.contains([0, 0])
    assert "(0, 0), chosen value by value, is not in it" in str(analyse_several(crelu).facts["subdifferential"].value)


def test_a_function_of_one_value_has_its_clarke_interval() -> None:
    assert subdifferential_at(named("relu"), {"x": 0}).vertices == ((0,), (1,))


def test_values_that_forget_the_input_have_a_witness() -> None:
    x = crelu.inputs[0]
    facts = analyse_several(Activation("even", Abs(x), others=(x**2,))).facts
    assert facts["injective"].verdict is Verdict.REFUTED
    assert facts["lipschitz"].value == {"2-norm": oo, "sup-norm": oo}
    assert facts["homogeneity"].verdict is Verdict.REFUTED


# --- every form ---


@pytest.mark.parametrize(
    "activation",
    [
        Activation("wave", sin(a * b), inputs=(a, b)),
        Activation("three", a * b * c, inputs=(a, b, c)),
        Activation("pair", a, inputs=(a, b), others=(b,)),
        Activation("bent", Max(a**2, b), inputs=(a, b)),
        Activation("raised", piecewise((a * b + 1, a > 0), (a * b, True)), inputs=(a, b)),
        Activation("stepped", Max(piecewise((1, a > 0), (0, True)), b), inputs=(a, b)),
    ],
    ids=lambda activation: activation.name,
)
def test_another_form_is_unknown_and_has_no_subdifferential(activation: Activation) -> None:
    analysis = analyse_several(activation)
    assert analysis.form is None
    assert {fact.verdict for fact in analysis.facts.values()} == {Verdict.UNKNOWN}
    assert "UNKNOWN" in render(analysis)
    with pytest.raises(Undecided, match="subdifferentials are derived for these"):
        subdifferential_at(activation, dict.fromkeys(map(str, activation.inputs), 1))


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ({"z1": 1}, "lacks z2; its inputs: z1, z2"),
        ({"z1": 1, "z2": 1, "z3": 1}, "names z3, which it does not take"),
        ({}, "lacks z1, z2"),
    ],
)
def test_a_point_with_other_inputs_is_refused(point: dict[str, Number], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        subdifferential_at(maxout(2), point)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "one"])
def test_a_coordinate_that_is_no_finite_number_is_refused(value: Number) -> None:
    with pytest.raises(InvalidActivation, match="not a finite number"):
        subdifferential_at(maxout(2), {"z1": value, "z2": 1})


def test_each_kind_of_function_has_its_own_analysis() -> None:
    with pytest.raises(InvalidRequest, match=r"3 inputs \(z1, z2, z3\).*analyse_several"):
        analyse(maxout(3))
    with pytest.raises(InvalidRequest, match=r"relusym\.analyse derives"):
        analyse_several(named("relu"))
    with pytest.raises(InvalidRequest, match="no standard deviation"):
        analyse_several(maxout(2), sigma=0)
    assert isinstance(analyse_several(crelu).form, Values)


def test_a_parameter_without_a_value_is_asked_for() -> None:
    slope = symbols("slope", real=True)
    unit = Activation("mine", Max(a, slope * b), inputs=(a, b), parameters=(Parameter(slope),))
    with pytest.raises(InvalidActivation, match="slope has no default"):
        analyse_several(unit)
    assert subdifferential_at(unit, {"a": 1, "b": 1}, {"slope": 1}).vertices == ((1, 0), (0, 1))


@pytest.mark.parametrize("name", ["maxout2", "maxout5", "reglu", "crelu"])
@pytest.mark.parametrize("output", ["text", "latex", "markdown", "json"])
def test_every_form_is_rendered_in_every_format(name: str, output: str) -> None:
    text = render(analyse_several(named(name)), output)
    assert "Piecewise" not in text or output == "json"
    if output == "latex":
        assert text.count("{") == text.count("}")
        assert r"\begin{aligned}" in text
    elif output == "json":
        document = json.loads(text)
        assert document["schema"] == 1
        assert document["inputs"] == list(map(str, named(name).inputs))
        verdicts = {fact["verdict"] for fact in document["facts"].values()}
        assert verdicts <= {"PROVED", "REFUTED"}
        assert document["facts"]["gaussian_second_moment"]["value"] is not None
    else:
        assert name in text


def test_gradients_in_json_are_read_back_as_what_they_say() -> None:
    """At every point off the kinks they are the derivatives of the formula beside them."""
    document = json.loads(render(analyse_several(reglu), "json"))
    words = {"Piecewise": Piecewise, "a": a, "b": b}
    formula = sympy.sympify(document["formulas"][0]["text"], locals=words)
    for symbol in (a, b):
        slope = sympy.sympify(document["gradient"][str(symbol)]["text"].replace("b == 0", "Eq(b, 0)"), locals=words)
        for place in ({a: 3, b: 2}, {a: -1, b: -2}):
            assert slope.subs(place) == formula.diff(symbol).subs(place)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="format 'pdf' is unknown; known: text, latex, markdown, json"):
        render(analyse_several(maxout(2)), "pdf")
