"""Kink values of frameworks: files that say what was measured, checked against what the calculus derives."""

import json
from collections.abc import Iterator
from dataclasses import replace
from importlib import metadata, resources
from typing import Any

import conventions as measuring
import pytest
import sympy
from sympy import Expr, Integer, Rational, Symbol

from relusym import analyse, named, parse
from relusym.activation import parameter_values
from relusym.activations import NAMES
from relusym.calculus.subdifferentials import choose, is_continuous_at, kinks, slopes
from relusym.conventions import Convention, Entry, Point, convention, full_name, names, render, resolved, table
from relusym.conventions.policies import slope_of
from relusym.errors import InvalidRequest, InvalidSubgradient, Undecided
from relusym.pieces import split

HELD = ("torch-2.13", "jax-0.10", "tensorflow-2.21", "onnx-1.23")
ENTRIES = [(held, entry) for held in HELD for entry in convention(held).entries]
WITH_SLOPES = [(name, entry) for name, entry in ENTRIES if convention(name).defines_slopes]


def entries(pairs: list[tuple[str, Entry]]) -> Any:
    return pytest.mark.parametrize(
        ("held", "entry"), [pytest.param(*pair, id=f"{pair[0]}-{pair[1].activation.name}") for pair in pairs]
    )


def settings(entry: Entry) -> Iterator[dict[Symbol, Expr]]:
    """Parameter values to try: the defaults, and those of the measurements."""
    fixed = {symbol.name: value for symbol, value in entry.fixed.items()}
    for given in ({}, *measuring.SETTINGS.get(entry.activation.name, ())):
        yield parameter_values(entry.activation, {**given, **fixed})


def offences(entry: Entry) -> list[str]:
    """What contradicts the calculus: places that are no breakpoint, slopes outside that are not marked, and marks
    on slopes that lie inside for all settings.
    """
    found = []
    really_outside = dict.fromkeys((point.at for point in entry.points), False)
    for values in settings(entry):
        pieces = split(entry.activation, values)
        places = [point.at.xreplace(values) for point in entry.points]
        if places != list(pieces.breakpoints):
            found.append(f"{places} are not the breakpoints {pieces.breakpoints}")
            continue
        for point, place in zip(entry.points, places, strict=True):
            left, right = slopes(pieces, place)
            slope = slope_of(point, left, right)
            if slope is None or not is_continuous_at(pieces, place):
                continue
            lower, upper = sorted((left, right))
            inside = lower <= slope.xreplace(values) <= upper
            really_outside[point.at] |= not inside
            if not inside and not point.outside:
                found.append(f"{slope} at {place} is outside [{lower}, {upper}] and not marked")
    return found + [
        f"{p.slope} at {p.at} is marked, but inside" for p in entry.points if p.outside and not really_outside[p.at]
    ]


@pytest.mark.parametrize("name", HELD)
def test_a_file_is_named_for_its_framework_and_version(name: str) -> None:
    held = convention(name)
    assert held.name == name
    assert held.packages[held.framework].startswith(held.version)
    assert full_name(held.framework) == name


def test_every_file_is_held_and_in_the_order_of_tables() -> None:
    files = {path.name for path in resources.files("relusym.conventions").iterdir() if path.name.endswith(".json")}
    assert names() == HELD
    assert files == {f"{name}.json" for name in HELD}


@entries(ENTRIES)
def test_an_entry_speaks_of_all_breakpoints_and_marks_what_is_outside_the_clarke_interval(
    held: str, entry: Entry
) -> None:
    assert offences(entry) == []
    assert all(point.slope is not None for point in entry.points) == convention(held).defines_slopes


def test_what_lies_outside_is_known_by_name() -> None:
    outside = {(held, entry.activation.name) for held, entry in ENTRIES for point in entry.points if point.outside}
    assert outside == {("tensorflow-2.21", "prelu"), ("tensorflow-2.21", "celu")}


@pytest.mark.parametrize(
    "broken",
    [
        lambda point: replace(point, slope=Integer(2)),
        lambda point: replace(point, slope=Rational(-1, 3)),
        lambda point: replace(point, at=point.at + 1),
        lambda point: replace(point, outside=True),
    ],
)
def test_a_broken_entry_is_an_offence(broken: Any) -> None:
    entry = convention("torch").entry(named("hardtanh"))
    assert entry is not None
    first, *others = entry.points
    assert offences(replace(entry, points=(broken(first), *others)))


@entries(ENTRIES)
def test_a_jump_has_a_value_of_f_which_is_that_of_the_definition(held: str, entry: Entry) -> None:
    for values in settings(entry):
        pieces = split(entry.activation, values)
        for point, place, value in zip(entry.points, pieces.breakpoints, pieces.values, strict=True):
            assert (point.value is None) == is_continuous_at(pieces, place)
            if point.value is not None:
                assert point.value.xreplace(values) == value


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_everything_with_kinks_that_the_catalogue_names_in_a_framework_is_covered(framework: str) -> None:
    held = convention(framework)
    for name in NAMES:
        activation = named(name)
        if framework in activation.names and kinks(split(activation, {})):
            assert held.entry(activation) is not None, f"{held.name} says nothing about {name}"


@entries(WITH_SLOPES)
def test_a_convention_is_a_mapping_from_each_kink_to_its_slope(held: str, entry: Entry) -> None:
    for values in settings(entry):
        pieces = split(entry.activation, values)
        if any(point.outside for point in entry.points):
            continue
        policy = resolved(entry.activation, held, values)
        places = [kink.at for kink in kinks(pieces)]
        if not places:
            assert policy == "least-norm"
            continue
        assert isinstance(policy, dict)
        assert list(policy) == places
        for kink in kinks(pieces, policy=policy):
            assert kink.chosen == policy[kink.at]
            assert kink.in_clarke == (kink.clarke is not None)


@pytest.mark.parametrize("framework", measuring.FRAMEWORKS)
def test_a_file_says_what_the_installed_framework_does(framework: str) -> None:
    pytest.importorskip(framework, reason=f"{framework} is not installed")
    try:
        name = f"{framework}-{measuring.version(framework)}"
    except metadata.PackageNotFoundError:
        pytest.skip(f"{framework} is installed without its metadata")
    if name not in names():
        pytest.skip(f"{name} is installed, and no convention of it is held")
    held = json.loads(resources.files("relusym.conventions").joinpath(f"{name}.json").read_text(encoding="utf-8"))
    assert list(measuring.differences(held, measuring.measured(framework))) == []


def test_a_changed_framework_is_noticed() -> None:
    held = json.loads(resources.files("relusym.conventions").joinpath("torch-2.13.json").read_text(encoding="utf-8"))
    changed = json.loads(json.dumps(held))
    changed["functions"][1]["breakpoints"][0]["slope"] = "1"
    (line,) = measuring.differences(held, changed)
    assert line.startswith("leaky_relu: ")
    assert measuring.text(held) == resources.files("relusym.conventions").joinpath("torch-2.13.json").read_text("utf-8")


def test_a_measured_number_is_written_as_what_fits_all_settings() -> None:
    negative_slope = named("leaky_relu").parameters[0].symbol
    pairs = [({negative_slope: Rational(1, 4)}, 0.25), ({negative_slope: Integer(2)}, 2.0)]
    assert measuring._written("it", pairs, named("leaky_relu"), Integer(0)) == "negative_slope"
    assert measuring._written("it", [(values, 1.0) for values, _ in pairs], named("leaky_relu"), Integer(0)) == "1"
    with pytest.raises(AssertionError, match="no expression fits"):
        measuring._written("it", [(values, 0.75) for values, _ in pairs], named("leaky_relu"), Integer(0))


def test_a_parameter_without_a_value_stays_a_symbol() -> None:
    alpha = named("prelu").parameters[0].symbol
    assert resolved(named("prelu"), "torch", {}) == {Integer(0): alpha}
    assert resolved(named("leaky_relu"), "jax", {}) == {Integer(0): Integer(1)}
    lower, upper = (parameter.symbol for parameter in named("hardtanh").parameters)
    assert resolved(named("hardtanh"), "torch", {upper: Integer(2)}) == {lower: Integer(0), Integer(2): Integer(0)}


def test_a_slope_in_symbols_is_one_of_the_limits_or_undecided() -> None:
    alpha, other = sympy.symbols("alpha other", real=True)
    assert choose(alpha, Integer(1), alpha, Integer(0)) == alpha
    assert choose(alpha, Integer(1), {Integer(0): alpha}, Integer(0)) == alpha
    for elsewhere in (other, 2 * alpha, Integer(0)):
        with pytest.raises(Undecided, match="depends on the parameters"):
            choose(alpha, Integer(1), elsewhere, Integer(0))


def test_formulas_are_known_by_what_they_say_and_functions_not_by_their_name() -> None:
    assert resolved(parse("max(x, 0)"), "torch", {}) == {Integer(0): Rational(1, 2)}
    assert resolved(parse("abs(x)"), "jax", {}) == {Integer(0): Integer(1)}
    impostor = replace(named("relu"), expr=parse("max(2*x, 0)").expr)
    with pytest.raises(InvalidSubgradient, match="says nothing about relu, whose kinks are at 0"):
        resolved(impostor, "torch", {})


@pytest.mark.parametrize("policy", ["least-norm", "left", Rational(1, 2), {Integer(0): 1}, "steepest"])
def test_other_policies_are_handed_on(policy: Any) -> None:
    assert resolved(named("relu"), policy, {}) == policy


@pytest.mark.parametrize("name", HELD)
def test_a_smooth_function_needs_no_convention(name: str) -> None:
    assert resolved(named("gelu"), name, {}) == "least-norm"


@pytest.mark.parametrize(
    ("name", "policy", "given", "said"),
    [
        ("softshrink", "jax", {}, "jax-0.10 says nothing about softshrink, whose kinks are at -1/2, 1/2"),
        ("relu", "onnx", {}, "onnx-1.23 defines no derivative at any kink"),
        ("hardtanh", "jax", {"lower": -2}, r"jax\.nn\.hard_tanh with lower = -1 alone, and here it is -2"),
        ("prelu", "tensorflow", {}, r"takes 0 .* at 0, outside the Clarke interval \[1/4, 1\]"),
        ("celu", "tensorflow", {}, r"takes 2 .* at 0, outside the Clarke interval \[1, 1\]"),
        ("relu", "torch-1.0", {}, "no convention is called 'torch-1.0'; held: torch-2.13"),
        ("relu", "torch-", {}, "no convention is called 'torch-'"),
        ("relu", "pytorch", {}, "'pytorch' is unknown.*relusym.conventions.resolved"),
    ],
)
def test_what_a_convention_cannot_give_is_refused_with_the_reason(
    name: str, policy: str, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidSubgradient, match=said):
        analyse(named(name), given, subgradient=policy)


def test_what_depends_on_an_argument_is_refused() -> None:
    with pytest.raises(InvalidSubgradient, match="between alpha and 1 depends on alpha; give it a value"):
        resolved(named("prelu"), "tensorflow", {})
    alpha = named("prelu").parameters[0].symbol
    assert resolved(named("prelu"), "tensorflow", {alpha: Integer(-1)}) == {Integer(0): Integer(0)}


def test_an_analysis_carries_the_name_with_its_version() -> None:
    found = analyse(named("leaky_relu"), subgradient="jax")
    assert found.subgradient == "jax-0.10"
    assert [kink.chosen for kink in (*found.kinks, *found.formula_kinks)] == [1, 1]
    assert [kink.chosen for kink in analyse(named("hardtanh"), subgradient="jax").kinks] == [1, 1]


def test_the_disagreements_are_those_that_users_meet() -> None:
    rows = {(row.activation, str(row.at)): row for row in table().rows}
    slope = named("leaky_relu").parameters[0].symbol
    assert rows["leaky_relu", "0"].taken == {"torch-2.13": slope, "jax-0.10": 1, "tensorflow-2.21": slope}
    for end in ("lower", "upper"):
        assert rows["hardtanh", end].taken == {"torch-2.13": 0, "jax-0.10": 1, "tensorflow-2.21": 1}
    disputed = {row.activation for row in rows.values() if row.disputed}
    assert disputed == {
        *("leaky_relu", "prelu", "selu", "celu", "hardtanh", "abs", "maximum", "minimum", "clip"),
    }
    assert ("softsign", "0") not in rows  # differentiable there, and all of them say so


def test_a_table_keeps_the_functions_and_the_conventions_named() -> None:
    found = table(["jax", "relu6"])
    assert [held.name for held in found.conventions] == ["jax-0.10"]
    assert [(row.activation, row.at) for row in found.rows] == [("relu6", 0), ("relu6", 6)]
    with pytest.raises(InvalidRequest, match="'hardtnh'; did you mean hardtanh"):
        table(["hardtnh"])
    with pytest.raises(InvalidRequest, match="'gelu'; it has no kink"):
        table(["gelu"])
    with pytest.raises(InvalidRequest, match="not as 'html'"):
        render(found, "html")


def test_an_unmarked_point_outside_would_show_in_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    marked = Entry(named("relu"), "it", {}, (Point(Integer(0), Integer(3), outside=True),))
    odd = Convention("odd", "1.0", {"odd": "1.0"}, "invented", (marked,))
    monkeypatch.setattr("relusym.conventions.tables.convention", lambda name: odd)
    text = render(table(["relu"]))
    assert "relu at 0: 3 in odd-1.0; the Clarke interval is [0, 1]" in text
    assert "3 (outside)" in text
