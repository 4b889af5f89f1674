"""What is printed of an analysis: the JSON contract, decimals that are proofs, cards, the comparison."""

import json
from fractions import Fraction

import jsonschema
import pytest
import sympy
from analyses import analysed
from sympy import Rational, exp, pi, sqrt

from relusym.activations import NAMES
from relusym.balls import enclosure
from relusym.errors import InvalidRequest
from relusym.facts import Enclosed, Interval, RealSet
from relusym.formulas import card, compare, render
from relusym.formulas.numbers import decimal_and_radius, shortened
from relusym.formulas.text import TEXT
from relusym.parsing import parse

NUMBER = {
    "type": "object",
    "properties": {
        "type": {"const": "number"},
        "exact": {"type": ["string", "null"]},
        "decimal": {"type": ["string", "null"]},
        "radius": {"type": ["string", "null"]},
    },
    "required": ["type", "exact", "decimal", "radius"],
}
NONE = {
    "type": "object",
    "properties": {"type": {"const": "none"}, "reason": {"type": "string"}},
    "required": ["type", "reason"],
}
SET = {
    "type": "object",
    "properties": {
        "type": {"const": "set"},
        "components": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "inf": NUMBER,
                    "sup": NUMBER,
                    "inf_attained": {"type": "boolean"},
                    "sup_attained": {"type": "boolean"},
                },
                "required": ["inf", "sup", "inf_attained", "sup_attained"],
            },
        },
        "period": {"anyOf": [NUMBER, {"type": "null"}]},
    },
    "required": ["type", "components", "period"],
}
MAYBE = {"anyOf": [NUMBER, NONE]}
SIDES = {"type": "object", "required": ["-oo", "+oo"], "additionalProperties": False}
VALUES = {
    "continuity_class": {"anyOf": [{"const": "infinity"}, {"type": "integer", "minimum": -1}]},
    "kinks": {
        "type": "array",
        "items": {
            "type": "object",
            "properties": {
                "at": NUMBER,
                "left": MAYBE,
                "right": MAYBE,
                "clarke": {
                    "anyOf": [{"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2}, {"type": "null"}]
                },
                "chosen": MAYBE,
                "in_clarke": {"type": "boolean"},
            },
            "required": ["at", "left", "right", "clarke", "chosen", "in_clarke"],
        },
    },
    **dict.fromkeys(("range", "derivative_range", "zeros", "argmin", "argmax", "inflections", "dead_region"), SET),
    "monotonicity": {
        "enum": ["strictly increasing", "increasing", "strictly decreasing", "decreasing", "constant", "none"]
    },
    "convexity": {"enum": ["convex", "concave", "affine", "none"]},
    **dict.fromkeys(
        (
            "lipschitz",
            "zero_probability",
            "derivative_zero_probability",
            "gaussian_mean",
            "gaussian_second_moment",
            "derivative_second_moment",
            "gain_forward",
            "gain_backward",
        ),
        MAYBE,
    ),
    "limits": {**SIDES, "properties": {"-oo": MAYBE, "+oo": MAYBE}},
    "derivative_limits": {**SIDES, "properties": {"-oo": MAYBE, "+oo": MAYBE}},
    "saturates": {**SIDES, "properties": {"-oo": {"type": "boolean"}, "+oo": {"type": "boolean"}}},
    "bounded": {
        "type": "object",
        "properties": {"below": {"type": "boolean"}, "above": {"type": "boolean"}},
        "required": ["below", "above"],
    },
    "parity": {"enum": ["even", "odd", "neither"]},
    "sign": {},
    "asymptotes": {},
    "identities": {},
    "inverse": {},
    "antiderivative": {},
}
FORMULA = {"type": "object", "required": ["text", "latex"]}
DOCUMENT = {
    "type": "object",
    "properties": {
        "schema": {"const": 1},
        "name": {"type": "string"},
        "parameters": {"type": "object"},
        "formula": FORMULA,
        "derivative": FORMULA,
        "facts": {
            "type": "object",
            "properties": {
                name: {
                    "type": "object",
                    "properties": {
                        "verdict": {"enum": ["PROVED", "REFUTED", "UNKNOWN"]},
                        "value": value,
                        "method": {"type": "string"},
                        "conditions": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["verdict", "value", "method", "conditions"],
                }
                for name, value in VALUES.items()
            },
            "required": list(VALUES),
        },
    },
    "required": ["schema", "name", "parameters", "formula", "derivative", "facts"],
}


@pytest.fixture(scope="module", params=NAMES)
def analysis(request):
    return analysed(request.param)


def numbers(value):
    if isinstance(value, dict):
        if value.get("type") == "number":
            yield value
        for part in value.values():
            yield from numbers(part)
    elif isinstance(value, list):
        for part in value:
            yield from numbers(part)


def test_json_keeps_its_contract_and_carries_forty_digits(analysis):
    document = json.loads(render(analysis, "json", digits=40))
    jsonschema.validate(document, DOCUMENT)
    for number in numbers({name: fact["value"] for name, fact in document["facts"].items()}):
        if number["decimal"] is None:
            assert number["exact"] in ("oo", "-oo")
            continue
        center, radius = Fraction(number["decimal"]), Fraction(number["radius"])
        assert radius <= abs(center) * Fraction(1, 10**40)


def test_every_fact_stands_on_the_card_or_says_nothing_new(analysis):
    labels = {label for group in card.GROUPS.values() for label in group.values()}
    text = render(analysis)
    shown = [label for label in labels if f"\n  {label} " in text]
    assert {"range", "Lipschitz constant", "E f(z)²", "gain, forward", "series", "limits"} <= set(shown)
    assert all(len(line) <= 110 or "(" in line[:40] or line.startswith(("f", " " * 4)) for line in text.split("\n"))
    assert set(analysis.facts) - {"kinks"} == {name for group in card.GROUPS.values() for name in group}


@pytest.mark.parametrize(
    "value",
    [
        pi,
        -sqrt(2),
        Rational(1, 3),
        Rational(-7, 8),
        exp(-400),
        exp(500) / 3,
        sympy.S.Zero,
        Enclosed("a third", lambda bits: enclosure(Rational(1, 3), bits)),
    ],
    ids=str,
)
@pytest.mark.parametrize("digits", [1, 20, 40, 200])
def test_decimals_enclose_the_number_so_closely(value, digits):
    text, radius = decimal_and_radius(value, digits)
    exact = Rational(1, 3) if isinstance(value, Enclosed) else value
    gap = abs(Rational(text) - exact).evalf(digits + 60)
    bound = Rational(radius)
    assert gap <= bound
    assert bound <= abs(exact) * Rational(1, 10**digits) or bound == 0


def test_leading_digits_are_cut_off_and_not_rounded():
    assert shortened(Rational(2, 3)) == "0.666666666666…"
    assert shortened(Rational(1, 4)) == "0.25"
    assert shortened(pi) == "3.14159265358…"


def test_sets_in_words():
    assert TEXT.set(RealSet()) == "∅"
    half = Rational(1, 2)
    parts = Interval(-sympy.oo, half, False, True), Interval(sympy.S.One, sympy.S.One, True, True)
    assert TEXT.set(RealSet(parts)) == "(-∞, 1/2] ∪ {1}"
    assert TEXT.set(RealSet(parts[1:], pi)) == "{1} + π·k"


def test_silu_card_gives_the_closed_form_of_its_least_value():
    text = render(analysed("silu"))
    assert "[-0.278464542761…, ∞)" in text
    assert "f(x) - f(-x) = x" in text


def test_general_facts_name_their_conditions():
    text = render(analysed("elu"))
    assert "convex, if alpha <= 1" in text
    assert "max(1, α)" in text
    assert "Clarke interval [min(1, α), max(1, α)]" in text


def test_inverse_and_antiderivative_are_read_back_by_parse():
    facts = json.loads(render(analysed("elu"), "json"))["facts"]
    for name in ("inverse", "antiderivative"):
        assert parse(facts[name]["value"]["text"])
    assert json.loads(render(analysed("relu"), "json"))["facts"]["inverse"]["value"] is None


@pytest.mark.parametrize("form", ["text", "markdown", "latex", "json"])
def test_comparison_in_every_format(form):
    analyses = [analysed(name) for name in ("relu", "gelu", "hardshrink")]
    text = compare(analyses, form)
    if form == "json":
        rows = json.loads(text)["activations"]
        assert [row["name"] for row in rows] == ["relu", "gelu", "hardshrink"]
        assert rows[0]["lipschitz"]["value"]["exact"] == "1"
    elif form == "markdown":
        lines = text.split("\n")
        assert len({line.count("|") for line in lines}) == 1
        assert len(lines) == 5
    else:
        assert "relu" in text
        assert text.count("\\\\") == (4 if form == "latex" else 0)


def test_an_unknown_format_is_refused():
    with pytest.raises(InvalidRequest, match="text, markdown, latex, json"):
        compare([analysed("relu")], "html")
