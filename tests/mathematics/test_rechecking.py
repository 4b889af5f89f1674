"""recheck(): certificates pass as they are written, and fail once anything in them is changed."""

import copy
import json
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relusym import intervals as iv
from relusym.activations import named
from relusym.analysis import analyse
from relusym.errors import InvalidRequest
from relusym.formulas.document import analysis_document
from relusym.intervals import Interval
from relusym.parsing import parse
from relusym.rechecking import recheck, recheck_file

REBUILT = [
    "relu",
    "leaky_relu",
    "relu6",
    "relu_squared",
    "elu",
    "hardswish",
    "hardshrink",
    "softsign",
    "silu",
    "sigmoid",
]


@pytest.fixture(scope="module")
def documents():
    made = {
        name: analysis_document(analyse(named(name)), 40) for name in [*REBUILT, "tanhshrink", "snake", "squareplus"]
    }
    return json.loads(json.dumps(made))


def statuses(document):
    return {check.subject: check.status for check in recheck(document)}


@pytest.mark.parametrize("name", REBUILT)
def test_a_certificate_passes_as_it_was_written(documents, name):
    found = statuses(documents[name])
    assert "wrong" not in found.values()
    covered = ("range", "derivative range", "zeros", "monotonicity", "convexity", "inflections", "lipschitz", "kinks")
    assert {found[subject] for subject in covered} == {"ok"}
    assert found["signs beyond the windows"] == "not re-checked"
    assert found["gaussian mean"] == "not re-checked"


def test_a_triple_zero_is_verified_exactly(documents):
    found = statuses(documents["tanhshrink"])
    assert found["sign table of f on piece 0"] == "ok"
    assert found["monotonicity"] == "ok"


def test_what_is_not_covered_is_never_called_ok(documents):
    """The double zeros of snake's slope lie at -pi/4 + k pi: intervals cannot show that a value is exactly 0."""
    found = statuses(documents["snake"])
    assert found["sign table of f' on piece 0"] == "not re-checked"
    assert found["monotonicity"] == "not re-checked"
    assert "wrong" not in found.values()


def changed(document, *path, to):
    """A deep copy with one value replaced; a callable gets the old value."""
    result = copy.deepcopy(document)
    place = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = to(place[path[-1]]) if callable(to) else to
    return result


def table(document, piece, order):
    return next(
        i for i, t in enumerate(document["certificate"]["tables"]) if (t["piece"], t["order"]) == (piece, order)
    )


def number(text):
    return {"type": "number", "exact": text, "decimal": None, "radius": None}


CORRUPTIONS = {
    "a range end": ("silu", ("facts", "range", "value", "components", 0, "inf"), number("-1/4")),
    "a range end attained": ("sigmoid", ("facts", "range", "value", "components", 0, "inf_attained"), True),
    "the decimal of a range end": (
        "silu",
        ("facts", "range", "value", "components", 0, "inf", "decimal"),
        "-0.27846454276107379511935873902298015543947",
    ),
    "an infinite end": ("relu", ("facts", "range", "value", "components", 0, "sup"), number("10")),
    "the Lipschitz constant": ("hardswish", ("facts", "lipschitz", "value"), number("149/100")),
    "the Lipschitz constant of a jump": ("hardshrink", ("facts", "lipschitz", "value"), number("1")),
    "the derivative range": ("sigmoid", ("facts", "derivative_range", "value", "components", 0, "sup"), number("1/5")),
    "monotonicity": ("silu", ("facts", "monotonicity", "value"), "increasing"),
    "strictness": ("relu", ("facts", "monotonicity", "value"), "strictly increasing"),
    "convexity": ("hardswish", ("facts", "convexity", "value"), "convex"),
    "concavity for convexity": ("relu", ("facts", "convexity", "value"), "concave"),
    "an inflection": ("sigmoid", ("facts", "inflections", "value", "components"), []),
    "an extra zero": (
        "silu",
        ("facts", "zeros", "value", "components", 0),
        {"inf": number("1"), "sup": number("1"), "inf_attained": True, "sup_attained": True},
    ),
    "a kink's slope": ("leaky_relu", ("facts", "kinks", "value", 0, "left"), number("1/10")),
    "a Clarke interval": ("relu", ("facts", "kinks", "value", 0, "clarke", 1), number("2")),
    "a kink left out": ("relu6", ("facts", "kinks", "value"), []),
    "boundedness": ("relu", ("facts", "bounded", "value", "above"), True),
    "the continuity class": ("relu", ("facts", "continuity_class", "value"), 1),
    "the dead region": ("relu", ("facts", "dead_region", "value", "components", 0, "sup"), number("1")),
    "the formula": ("silu", ("formula", "text"), "x/(1 + exp(-2*x))"),
    "a parameter": ("leaky_relu", ("parameters", "negative_slope"), "1/50"),
    "a piece": ("relu6", ("certificate", "pieces", 1, "expr"), "x**2/6"),
    "a limit": ("elu", ("certificate", "breakpoints", 0, "limits", 1, 0), "2"),
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_a_corrupted_document_is_found_wrong(documents, what):
    name, path, to = CORRUPTIONS[what]
    assert "wrong" in statuses(changed(documents[name], *path, to=to)).values()


@pytest.mark.parametrize(
    ("name", "piece", "order", "path", "to"),
    [
        ("silu", 0, 1, ("signs",), lambda signs: [-sign for sign in signs]),
        ("silu", 0, 1, ("zeros", 0, "lower"), "-1/2"),
        ("silu", 0, 1, ("zeros", 0, "multiplicity"), 2),
        ("silu", 0, 2, ("zeros", 0, "upper"), "-23994/10000"),
        ("tanhshrink", 0, 0, ("zeros", 0, "multiplicity"), 1),
        ("tanhshrink", 0, 0, ("zeros", 0, "multiplicity"), 5),
        ("relu_squared", 1, 0, ("signs",), [-1]),
        ("relu_squared", 1, 0, ("order_at_lower",), 3),
        ("relu_squared", 1, 3, ("signs",), [1]),
        ("sigmoid", 0, 3, ("zeros", 0, "exact"), "-3"),
        ("squareplus", 0, 2, ("signs",), [-1]),
    ],
)
def test_a_corrupted_sign_table_is_not_passed(documents, name, piece, order, path, to):
    document = documents[name]
    corrupted = changed(document, "certificate", "tables", table(document, piece, order), *path, to=to)
    found = statuses(corrupted)
    assert found[f"sign table of f{chr(39) * order} on piece {piece}"] != "ok"
    assert found["monotonicity"] != "ok" or order != 1


def test_a_zero_left_out_of_a_table_is_found(documents):
    document = documents["silu"]
    at = table(document, 0, 1)
    corrupted = changed(document, "certificate", "tables", at, "zeros", to=[])
    corrupted = changed(corrupted, "certificate", "tables", at, "signs", to=[1])
    assert statuses(corrupted)["sign table of f' on piece 0"] == "wrong"


def test_a_formula_nobody_prepared_passes():
    document = analysis_document(analyse(parse("x*exp(-x**2)")))
    found = statuses(json.loads(json.dumps(document)))
    assert found["range"] == found["lipschitz"] == "ok"


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "x.__class__",
        "(" * 500 + "x" + ")" * 500,
        "lambda: 0",
        "[x for x in y]",
        "f(x)",
        "x" * 30000,
        "",
    ],
)
def test_hostile_text_is_refused(documents, text):
    corrupted = changed(documents["relu"], "certificate", "pieces", 1, "expr", to=text)
    with pytest.raises(InvalidRequest):
        recheck(corrupted)


def test_a_tower_of_powers_ends_at_once(documents):
    corrupted = changed(documents["relu"], "certificate", "pieces", 1, "expr", to="9**9**9")
    assert statuses(corrupted)["sign table of f on piece 1"] != "ok"


def test_a_file_that_is_no_document_is_refused(tmp_path):
    path = tmp_path / "wrong.json"
    for text in ("no json", "{}", "[1, 2]", '{"name": "f", "certificate": {}}'):
        path.write_text(text)
        with pytest.raises(InvalidRequest, match="derive"):
            recheck_file(path)
    with pytest.raises(InvalidRequest, match="cannot be read"):
        recheck_file(tmp_path / "absent.json")


def test_the_checker_loads_nothing_of_the_engine():
    code = """
import sys
import relusym.rechecking
loaded = [name for name in ("sympy", "flint", "numpy", "relusym.balls", "relusym.facts") if name in sys.modules]
assert not loaded, loaded
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- the intervals contain what they should ---

FUNCTIONS = {
    "exp": (iv.exp, mpmath.exp, -30, 30),
    "log": (iv.log, mpmath.log, 1e-9, 40),
    "sqrt": (iv.sqrt, mpmath.sqrt, 0, 40),
    "sin": (iv.sin, mpmath.sin, -20, 20),
    "cos": (iv.cos, mpmath.cos, -20, 20),
    "erf": (iv.erf, mpmath.erf, -7, 7),
    "atan": (iv.atan, mpmath.atan, -40, 40),
    "lambert": (iv.lambert, lambda z: mpmath.lambertw(z).real, 1e-6, 40),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_functions_of_intervals_contain_the_values_inside(name, data):
    function, true, low, high = FUNCTIONS[name]
    ends = sorted(data.draw(st.tuples(*[st.floats(low, high, allow_subnormal=False)] * 2)))
    part = data.draw(st.fractions(0, 1, max_denominator=50))
    inside = Fraction(ends[0]) + (Fraction(ends[1]) - Fraction(ends[0])) * part
    box = function(Interval(Decimal(ends[0]), Decimal(ends[1])))
    point = function(iv.exact(inside))
    with mpmath.workdps(70):
        value = true(mpmath.mpf(inside.numerator) / inside.denominator)
        for found in (box, point):
            assert mpmath.mpf(str(found.lo)) <= value <= mpmath.mpf(str(found.hi))
        assert mpmath.mpf(str(point.width)) <= mpmath.mpf("1e-33") * max(1, abs(value))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fractions(-9, 9, max_denominator=30), min_size=4, max_size=4), st.sampled_from("+-*/"))
def test_arithmetic_contains_the_exact_result(numbers, operation):
    a, b, c, d = numbers
    one, other = (
        Interval(*sorted((iv.exact(a).lo, iv.exact(b).hi))),
        Interval(*sorted((iv.exact(c).lo, iv.exact(d).hi))),
    )
    first, second = (Fraction(part.lo) + (Fraction(part.hi) - Fraction(part.lo)) / 3 for part in (one, other))
    try:
        found = {"+": one.__add__, "-": one.__sub__, "*": one.__mul__, "/": one.__truediv__}[operation](other)
    except iv.OutsideDomain:
        assert other.lo <= 0 <= other.hi
        return
    exact = {"+": first + second, "-": first - second, "*": first * second}.get(operation)
    exact = first / second if exact is None else exact
    assert Fraction(found.lo) <= exact <= Fraction(found.hi)


@pytest.mark.parametrize(
    "text", ["tanh(x)", "x/(1 + exp(-x))", "log(1 + exp(x))", "sqrt(x**2 + 4)", "erf(x)*x", "sin(x)**2"]
)
def test_series_hold_the_derivatives(text):
    """Coefficients against mpmath's Taylor series at a point."""
    from relusym.rechecking import _series, _tree

    x = Fraction(3, 8)
    found = _series(_tree(text), {"x": iv.variable(iv.exact(x), 5)}, 5)
    with mpmath.workdps(50):
        function = eval(f"lambda x: {text}", vars(mpmath).copy())
        true = mpmath.taylor(function, mpmath.mpf(3) / 8, 4)
        for coefficient, value in zip(found, true, strict=True):
            assert abs(mpmath.mpf(str(coefficient.lo)) - value) < mpmath.mpf("1e-20")
