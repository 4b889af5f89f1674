"""recheck(): certificates pass as they are written, and fail once anything in them is changed."""

import copy
import json
import subprocess
import sys
import time
from decimal import Decimal, localcontext
from fractions import Fraction

import mpmath
import pytest
from analyses import analysed
from hypothesis import given, settings
from hypothesis import strategies as st

from relusym import intervals as iv
from relusym import rechecking
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


FORMULAS = {
    "far": "x - 20",
    "line": "x + 8",
    "positive": "x**2 + 1",
    "cubed": "Piecewise((0, x <= 0), (x**3, True))",
    "dot": "Piecewise((0, x < 0), (3, x == 0), (0, True))",
    "root": "Piecewise((0, x <= 0), (sqrt(x), True))",
    "third_of_elu": "Piecewise(((exp(3*x) - 1)/3, x <= 0), (x, True))",
    "thirds": "Piecewise((0, x <= -5/3), (x + 5/3, True))",
}


@pytest.fixture(scope="module")
def documents():
    made = {name: analysis_document(analysed(name), 40) for name in [*REBUILT, "tanhshrink", "snake", "squareplus"]}
    for name, text in FORMULAS.items():
        made[name] = analysis_document(analyse(parse(text)), 40)
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


def set_of(*parts, period=None):
    """A set from (inf, sup, inf_attained, sup_attained), or from one number for a point."""
    components = []
    for part in parts:
        low, high, with_low, with_high = part if isinstance(part, tuple) else (part, part, True, True)
        components.append(
            {"inf": number(low), "sup": number(high), "inf_attained": with_low, "sup_attained": with_high}
        )
    return {"type": "set", "components": components, "period": period}


def table_changed(document, piece, order, **entries):
    changed_document = copy.deepcopy(document)
    changed_document["certificate"]["tables"][table(document, piece, order)].update(entries)
    return changed_document


def fact_changed(document, **values):
    changed_document = copy.deepcopy(document)
    for name, value in values.items():
        changed_document["facts"][name]["value"] = value
    return changed_document


# --- windows ---


@pytest.mark.parametrize(
    ("name", "piece", "order", "window"),
    [
        ("relu6", 1, 0, ["1", "6"]),
        ("relu6", 1, 1, ["0", "5"]),
        ("relu", 1, 0, ["0", "1"]),
        ("silu", 0, 2, ["-3", "3"]),
        ("silu", 0, 1, ["-2", "8"]),
        ("relu6", 1, 1, ["-1", "6"]),
    ],
)
def test_a_window_must_reach_the_ends_of_its_piece(documents, name, piece, order, window):
    found = statuses(table_changed(documents[name], piece, order, window=window))
    assert found[f"sign table of f{chr(39) * order} on piece {piece}"] != "ok"
    assert found[{0: "zeros", 1: "monotonicity", 2: "convexity"}[order]] != "ok"


def test_zeros_left_out_with_the_part_of_the_window_that_holds_them_are_missed(documents):
    """Without its zero at 0 the table of silu is true of a window further right."""
    corrupted = table_changed(documents["silu"], 0, 0, window=["1", "12"], zeros=[], signs=[1])
    found = statuses(fact_changed(corrupted, zeros=set_of()))
    assert found["sign table of f on piece 0"] != "ok"
    assert found["zeros"] != "ok"


def test_a_zero_beyond_the_window_is_found_where_a_point_shows_it(documents):
    corrupted = table_changed(documents["far"], 0, 0, window=["-8", "8"], zeros=[], signs=[-1])
    found = statuses(fact_changed(corrupted, zeros=set_of()))
    assert found["sign table of f on piece 0"] == "wrong"
    assert found["zeros"] != "ok"


def test_a_zero_at_the_edge_of_a_window_is_no_end_of_the_piece(documents):
    corrupted = table_changed(documents["line"], 0, 0, window=["-8", "8"], zeros=[], signs=[1], order_at_lower=1)
    assert statuses(fact_changed(corrupted, zeros=set_of()))["zeros"] != "ok"


# --- zeros that are none ---


@pytest.mark.parametrize(
    "zero",
    [
        {"lower": "-1/8", "upper": "1/8", "exact": "0", "multiplicity": 0},
        {"lower": "-1/8", "upper": "1/8", "exact": "0", "multiplicity": 2},
        {"lower": "1/8", "upper": "-1/8", "exact": "0", "multiplicity": 2},
        {"lower": "0", "upper": "0", "exact": "0", "multiplicity": 2},
        {"lower": "-1/8", "upper": "1/8", "exact": None, "multiplicity": 2},
    ],
)
def test_a_zero_that_is_none_is_not_passed(documents, zero):
    corrupted = table_changed(documents["positive"], 0, 0, zeros=[zero], signs=[1, 1])
    corrupted = fact_changed(corrupted, zeros=set_of("0"))
    try:
        found = statuses(corrupted)
    except InvalidRequest:
        return
    assert found["sign table of f on piece 0"] != "ok"
    assert found["zeros"] != "ok"


def test_a_closed_form_beside_the_zero_is_found(documents):
    """Both the table and the fact say 1/4096, well inside the isolating interval around 0."""
    at = table(documents["silu"], 0, 0)
    corrupted = changed(documents["silu"], "certificate", "tables", at, "zeros", 0, "exact", to="1/4096")
    assert statuses(fact_changed(corrupted, zeros=set_of("1/4096")))["zeros"] != "ok"


def test_an_order_at_an_end_below_zero_is_refused(documents):
    corrupted = table_changed(documents["relu_squared"], 1, 1, order_at_lower=-1)
    with pytest.raises(InvalidRequest, match="derive"):
        recheck(corrupted)


# --- tables twice, or of nothing ---


@pytest.mark.parametrize(
    "change",
    [
        lambda tables: [*tables, tables[0]],
        lambda tables: [*tables, {**tables[0], "signs": [-1]}],
        lambda tables: [{**tables[0], "piece": 7}, *tables],
        lambda tables: [{**tables[0], "piece": -1}, *tables],
        lambda tables: [{**tables[0], "order": 4}, *tables],
        lambda tables: [{**tables[0], "order": True}, *tables],
    ],
)
def test_a_table_that_is_there_twice_or_belongs_nowhere_is_refused(documents, change):
    with pytest.raises(InvalidRequest, match="derive"):
        recheck(changed(documents["relu"], "certificate", "tables", to=change))


def test_a_key_that_is_there_twice_is_refused(documents, tmp_path):
    path = tmp_path / "twice.json"
    text = json.dumps(documents["relu"])
    path.write_text(text.replace('"verdict": "PROVED"', '"verdict": "UNKNOWN", "verdict": "PROVED"', 1))
    with pytest.raises(InvalidRequest, match="twice"):
        recheck_file(path)


# --- sets, part by part ---


SETS = {
    "a gap filled": ("hardshrink", "range", [("-oo", "oo", False, False)]),
    "a part left out": ("hardshrink", "range", [("-oo", "-1/2", False, False), ("1/2", "oo", False, False)]),
    "a gap that is none": ("silu", "derivative_range", [("-1", "0", True, False), ("1/2", "2", True, True)]),
    "a gap moved": (
        "hardshrink",
        "range",
        [("-oo", "-1/3", False, False), "0", ("1/3", "oo", False, False)],
    ),
    "an inner end that belongs": (
        "hardshrink",
        "range",
        [("-oo", "-1/2", False, True), "0", ("1/2", "oo", False, False)],
    ),
    "slopes between two slopes": ("relu6", "derivative_range", [("0", "1", True, True)]),
    "a slope between two slopes": ("relu6", "derivative_range", ["0", "1/2", "1"]),
    "a point of a dead part": ("relu6", "zeros", [("-oo", "0", False, False)]),
    "dead regions joined": ("relu6", "dead_region", [("-oo", "oo", False, False)]),
    "an end of a dead region that belongs": (
        "relu6",
        "dead_region",
        [("-oo", "0", False, True), ("6", "oo", False, False)],
    ),
    "an end of zeros that lies elsewhere": ("relu6", "zeros", [("-oo", "1", False, True)]),
    "parts in another order": ("relu6", "derivative_range", ["1", "0"]),
    "a part twice": ("relu6", "derivative_range", ["0", "0", "1"]),
}


@pytest.mark.parametrize("what", SETS)
def test_every_part_of_a_set_is_checked_and_the_gaps_between(documents, what):
    name, fact, parts = SETS[what]
    corrupted = fact_changed(documents[name], **{fact: set_of(*parts)})
    assert statuses(corrupted)[fact.replace("_", " ")] == "wrong"


def test_a_period_that_nobody_claimed_is_found(documents):
    for name, fact in (("silu", "zeros"), ("silu", "range"), ("snake", "inflections")):
        period = None if name == "snake" else number("pi")
        corrupted = changed(documents[name], "facts", fact, "value", "period", to=period)
        assert statuses(corrupted)[fact] == "wrong"


def test_a_table_repeats_only_where_that_is_seen(documents):
    """cos and sin**2 repeat; silu does not, whatever its table says."""
    assert statuses(documents["snake"])["derivative range"] == "ok"
    window = {"window": ["-pi", "pi"], "period": "2*pi"}
    found = statuses(table_changed(documents["silu"], 0, 1, **window))
    assert found["sign table of f' on piece 0"] == "not re-checked"
    window = {"window": ["-pi/4", "pi/4"], "period": "pi/2", "zeros": [], "signs": [1]}
    corrupted = table_changed(documents["snake"], 0, 2, **window)
    assert statuses(corrupted)["sign table of f'' on piece 0"] != "ok"


@pytest.mark.parametrize(
    "claimed",
    [
        {"type": "number", "exact": None, "decimal": "0", "radius": "1000000"},
        {"type": "number", "exact": None, "decimal": "1", "radius": "2"},
        {"type": "number", "exact": None, "decimal": "1.5", "radius": "-1"},
        {"type": "number", "exact": "3/2", "decimal": "2", "radius": "5"},
        {"type": "number", "exact": None, "decimal": None, "radius": None},
    ],
)
def test_a_number_without_a_certain_digit_says_nothing(documents, claimed):
    assert statuses(fact_changed(documents["hardswish"], lipschitz=claimed))["lipschitz"] != "ok"


# --- breakpoints ---


def test_the_value_at_a_breakpoint_is_that_of_the_formula(documents):
    corrupted = changed(documents["relu"], "certificate", "breakpoints", 0, "value", to="1")
    corrupted = fact_changed(corrupted, zeros=set_of(("-oo", "0", False, False)), lipschitz=number("oo"))
    found = statuses(corrupted)
    assert found["limits at the breakpoint 0"] == "wrong"
    assert "ok" not in (found["zeros"], found["lipschitz"], found["continuity class"], found["kinks"])


def test_a_single_value_beside_the_graph_is_a_jump(documents):
    document = documents["dot"]
    found = statuses(document)
    assert found["lipschitz"] == found["convexity"] == found["kinks"] == "ok"
    corrupted = fact_changed(document, lipschitz=number("0"), convexity="affine", kinks=[])
    found = statuses(corrupted)
    assert found["lipschitz"] == found["convexity"] == found["kinks"] == "wrong"


def test_a_limit_that_is_not_evaluated_is_not_believed(documents):
    """The slope of sqrt(x) at 0 is infinite: no series has it."""
    found = statuses(documents["root"])
    assert found["limits at the breakpoint 0"] == "not re-checked"
    assert found["kinks"] == found["continuity class"] == "not re-checked"
    breakpoints = [{"at": "0", "value": "0", "limits": [["0", "0"], ["0", "0"], ["0", "0"], ["0", "0"]]}]
    corrupted = changed(documents["root"], "certificate", "breakpoints", to=breakpoints)
    found = statuses(fact_changed(corrupted, kinks=[], continuity_class=2, convexity="concave"))
    assert "ok" not in (found["kinks"], found["continuity class"], found["convexity"], found["lipschitz"])


def test_a_class_of_continuity_is_not_believed_beyond_what_is_compared(documents):
    assert statuses(documents["cubed"])["continuity class"] == "ok"
    for claimed in ("infinity", 1, 3, True, None):
        assert statuses(fact_changed(documents["cubed"], continuity_class=claimed))["continuity class"] == "wrong"


def test_numbers_that_are_no_short_decimals_are_compared_as_fractions(documents):
    for name in ("thirds", "third_of_elu"):
        found = statuses(documents[name])
        assert {found[subject] for subject in ("kinks", "continuity class", "zeros", "monotonicity")} == {"ok"}


def test_the_slope_chosen_at_a_kink_is_that_of_the_derivative(documents):
    corrupted = changed(documents["relu"], "facts", "kinks", "value", 0, "chosen", to=number("1/2"))
    assert statuses(corrupted)["kinks"] == "wrong"
    corrupted = changed(documents["relu"], "facts", "kinks", "value", 0, "in_clarke", to=False)
    assert statuses(corrupted)["kinks"] == "wrong"


# --- pieces, and what rests on them ---


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("relu", "Piecewise((0, x <= 0), (x, x <= 500), (7, True))"),
        ("relu", "Piecewise((0, x <= 1/10**20), (x, True))"),
        ("relu", "Piecewise((0, x <= 0), (5, x == 1/7), (x, True))"),
        ("relu", "Max(0, x, 1000*(x - 70))"),
        ("silu", "x/(1 + exp(-x)) + x/10**25"),
    ],
)
def test_a_formula_that_differs_far_out_or_a_little_is_found(documents, name, text):
    found = statuses(changed(documents[name], "formula", "text", to=text))
    assert found["pieces against the formula"] == "wrong"
    assert "ok" not in [found[subject] for subject in ("range", "zeros", "monotonicity", "kinks", "lipschitz")]


def test_pieces_must_cover_the_line(documents):
    for key, end in ((0, "lower"), (-1, "upper")):
        corrupted = changed(documents["relu"], "certificate", "pieces", key, end, to="-5" if end == "lower" else "5")
        assert statuses(corrupted)["pieces against the formula"] == "wrong"


def test_a_piece_is_smooth(documents):
    found = statuses(changed(documents["relu"], "certificate", "pieces", 1, "expr", to="Abs(x)"))
    assert "ok" not in [found[f"sign table of f{chr(39) * order} on piece 1"] for order in range(4)]


def test_a_limit_at_infinity_is_tried_far_out(documents):
    """The range rests on limits that are claimed; one of them made too large, with the range."""
    for limit in ("1 + 1/10**6", "2", "9/10", "oo"):
        corrupted = changed(documents["sigmoid"], "facts", "limits", "value", "+oo", to=number(limit))
        found = statuses(fact_changed(corrupted, range=set_of(("0", limit, False, False))))
        assert found["range"] != "ok"
    corrupted = changed(documents["relu"], "facts", "limits", "value", "+oo", to=number("10**9"))
    assert statuses(fact_changed(corrupted, range=set_of(("0", "10**9", True, False))))["range"] != "ok"


def test_a_fact_under_conditions_is_not_passed(documents):
    corrupted = changed(documents["relu"], "facts", "range", "conditions", to=["x > 0"])
    assert statuses(corrupted)["range"] == "not re-checked"


# --- hostile files ---


HOSTILE_NUMBERS = [
    "9**9**9",
    "exp(exp(exp(9)))",
    "sin(exp(10**5)**1000)",
    "log((exp(10**6)**1000)**1000)",
    "((exp(10**6)**1000)**1000)**1000",
    "exp(-10**6)**1000",
    "sqrt(2)**(1/3)**1000",
    "1/0",
    "log(0)",
    "(" + "1/3+" * 140 + "1)**64",
    "LambertW(exp(10**6))",
]


@pytest.mark.parametrize("text", HOSTILE_NUMBERS)
@pytest.mark.parametrize("where", ["at", "exact", "value", "window", "parameter", "limit"])
def test_a_hostile_number_ends_at_once_without_a_traceback(documents, text, where):
    path, document = {
        "at": (("certificate", "breakpoints", 0, "at"), "relu"),
        "exact": (("certificate", "tables", 0, "zeros", 0, "exact"), "silu"),
        "value": (("facts", "lipschitz", "value", "exact"), "relu"),
        "window": (("certificate", "tables", 0, "window", 0), "relu"),
        "parameter": (("parameters", "negative_slope"), "leaky_relu"),
        "limit": (("certificate", "breakpoints", 0, "limits", 1, 0), "relu"),
    }[where]
    corrupted = changed(documents[document], *path, to=text)
    if where == "at":
        for piece, end in ((0, "upper"), (1, "lower")):
            corrupted = changed(corrupted, "certificate", "pieces", piece, end, to=text)
    start = time.monotonic()
    try:
        found = statuses(corrupted)
    except InvalidRequest:
        found = {}
    assert time.monotonic() - start < 10
    assert [status for status in found.values() if status == "wrong" or status == "not re-checked"] or not found


@pytest.mark.parametrize(
    "decimal", ["1e999999999", "1e-999999999", "9" * 5000, "nan", "inf", "1/3", "", " 1", "1_000", 1.0, True, []]
)
def test_a_decimal_that_is_none_is_refused(documents, decimal):
    for key in ("decimal", "radius"):
        with pytest.raises(InvalidRequest, match="derive"):
            recheck(changed(documents["relu"], "facts", "lipschitz", "value", key, to=decimal))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("certificate", "tables", 0, "signs"), [1e400]),
        (("certificate", "tables", 0, "signs"), [0.0]),
        (("certificate", "tables", 0, "signs"), "0"),
        (("certificate", "tables", 0, "zeros"), [{"lower": "0", "upper": "1", "exact": None, "multiplicity": 10**9}]),
        (("certificate", "tables", 0, "zeros"), [{"lower": "1/0", "upper": "1", "exact": None, "multiplicity": 1}]),
        (("certificate", "tables", 0, "order_at_lower"), 10**9),
        (("certificate", "tables", 0, "window"), ["0"]),
        (("certificate", "tables", 0, "piece"), "0"),
        (("certificate", "tables"), None),
        (("certificate", "pieces"), []),
        (("certificate", "pieces"), [{"lower": "-oo", "upper": "oo", "expr": "x"}] * 5000),
        (("certificate", "breakpoints"), []),
        (("certificate", "breakpoints", 0, "limits"), []),
        (("certificate", "variable"), "exp"),
        (("certificate", "variable"), 5),
        (("certificate",), []),
        (("facts",), []),
        (("facts", "range", "value"), None),
        (("facts", "range", "value", "components"), [None]),
        (("facts", "range", "verdict"), "SURE"),
        (("facts", "kinks", "value"), {}),
        (("facts", "kinks", "value"), [{}]),
        (("facts", "a\nb"), {}),
        (("parameters",), []),
        (("parameters",), {"pi": "3"}),
        (("formula",), "x"),
        (("name",), "relu\x1b[2J"),
        (("name",), "relu\nrelu  range  ok"),
        (("name",), None),
    ],
)
def test_a_malformed_document_is_one_clear_error(documents, path, to):
    with pytest.raises(InvalidRequest, match="derive"):
        recheck(changed(documents["relu"], *path, to=to))


def test_an_empty_list_and_a_file_too_large_are_refused(tmp_path):
    with pytest.raises(InvalidRequest, match="derive"):
        recheck([])
    path = tmp_path / "large.json"
    path.write_bytes(b"[" * 9_000_000)
    with pytest.raises(InvalidRequest, match="bytes"):
        recheck_file(path)
    path.write_bytes(b"[" * 900_000)
    with pytest.raises(InvalidRequest, match="derive"):
        recheck_file(path)


def test_what_takes_too_long_is_not_rechecked(documents, monkeypatch):
    monkeypatch.setattr(rechecking, "_SECONDS", 0.3)
    slow = " + ".join(f"sin({k}*x)**{k}" for k in range(2, 140))
    corrupted = changed(documents["silu"], "certificate", "pieces", 0, "expr", to=slow)
    start = time.monotonic()
    found = statuses(corrupted)
    assert time.monotonic() - start < 6
    assert "ok" not in [found[f"sign table of f{chr(39) * order} on piece 0"] for order in range(4)]
    assert found["range"] != "ok"


def test_the_time_for_a_whole_file_is_bounded(documents, monkeypatch):
    monkeypatch.setattr(rechecking, "_SECONDS_IN_ALL", 0.5)
    start = time.monotonic()
    checks = recheck([documents["tanhshrink"]] * 50)
    assert time.monotonic() - start < 10
    assert checks[-1].status == "not re-checked"


def test_the_digits_of_the_caller_do_not_matter(documents):
    with localcontext() as context:
        context.prec, context.Emax = 3, 5
        found = statuses(documents["silu"])
    assert found == statuses(documents["silu"])


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
    from relusym.rechecking import _Clock, _Formula

    x = Fraction(3, 8)
    found = _Formula(text, _Clock()).series({"x": iv.variable(iv.exact(x), 5)}, 5)
    with mpmath.workdps(50):
        function = eval(f"lambda x: {text}", vars(mpmath).copy())
        true = mpmath.taylor(function, mpmath.mpf(3) / 8, 4)
        for coefficient, value in zip(found, true, strict=True):
            assert abs(mpmath.mpf(str(coefficient.lo)) - value) < mpmath.mpf("1e-20")
