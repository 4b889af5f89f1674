"""What stands on a card, in which order, under which names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from relusym.analysis import Analysis
from relusym.facts import Absent, Fact, RealSet, Value, Verdict
from relusym.formulas.words import Style

GROUPS: dict[str, dict[str, str]] = {
    "Shape": {
        "range": "range",
        "argmin": "least value at",
        "argmax": "greatest value at",
        "zeros": "zeros",
        "sign": "sign",
        "monotonicity": "monotone",
        "monotone_intervals": "monotone",
        "convexity": "curvature",
        "convexity_intervals": "curvature",
        "inflections": "inflections",
        "parity": "parity",
        "identities": "identities",
    },
    "Smoothness": {
        "continuity_class": "continuity class",
        "lipschitz": "Lipschitz constant",
        "derivative_range": "range of f'",
    },
    "Ends": {
        "limits": "limits",
        "derivative_limits": "limits of f'",
        "asymptotes": "asymptotes",
        "bounded": "bounded",
        "saturates": "saturates",
    },
    "Gradients": {
        "dead_region": "dead region",
        "dying": "dying",
        "vanishing_gradient": "through n layers",
        "parameter_gradients": "by parameters",
    },
    "Normal inputs": {
        "gaussian_mean": "E f(z)",
        "gaussian_second_moment": "E f(z)²",
        "derivative_second_moment": "E f'(z)²",
        "gain_forward": "gain, forward",
        "gain_backward": "gain, backward",
        "zero_probability": "P(f(z) = 0)",
        "derivative_zero_probability": "P(f'(z) = 0)",
        "zero_centred": "zero-centred",
    },
    "Forms": {
        "inverse": "inverse",
        "antiderivative": "antiderivative",
        "series": "series",
        "constants": "constants",
    },
}
"""Facts by group, with the label of each."""

_EMPTY_IS_SILENT = {"argmin", "argmax", "identities", "constants", "parameter_gradients", "inflections"}


# what is said of the whole line, and, where that is nothing, of parts of it
_WHOLE_LINE = {"monotonicity": "monotone_intervals", "convexity": "convexity_intervals"}


@dataclass(frozen=True)
class Line:
    """One line of a card."""

    label: str
    value: str
    method: str


def lines(
    facts: Mapping[str, Fact], group: str, style: Style, groups: Mapping[str, Mapping[str, str]] = GROUPS
) -> Iterator[Line]:
    """The lines of one group; facts that say nothing new are left out."""
    for name, label in groups[group].items():
        if name in facts and not _is_silent(name, facts):
            yield _line(name, label, facts[name], style)


def _line(name: str, label: str, fact: Fact, style: Style) -> Line:
    if fact.verdict is Verdict.UNKNOWN:
        reason = fact.value.reason if isinstance(fact.value, Absent) else fact.method
        return Line(label, style.word("UNKNOWN"), reason)
    value = smoothness(fact.value, style) if name == "continuity_class" else style.value(fact.value)
    if fact.conditions:
        value += style.word(f", if {' and '.join(fact.conditions)}")
    return Line(label, value, fact.method)


def smoothness(order: Value, style: Style) -> str:
    """A continuity class: C^k, or that f jumps."""
    if order == -1:
        return style.word("f jumps")
    return f"C^{style.infinity if order == 'infinity' else order}"


def _is_silent(name: str, facts: Mapping[str, Fact]) -> bool:
    value = facts[name].value
    if facts[name].verdict is Verdict.UNKNOWN:
        return False
    if name in _WHOLE_LINE:
        return value == "none" and _WHOLE_LINE[name] in facts
    for whole, intervals in _WHOLE_LINE.items():
        if name == intervals:
            return facts[whole].value != "none"
    if name == "dying":
        return not (isinstance(value, Mapping) and value["possible"])
    if name in _EMPTY_IS_SILENT:
        return not (value.components if isinstance(value, RealSet) else value)
    return False


def general_kinks(facts: Mapping[str, Fact], style: Style) -> Iterator[Line]:
    """The Clarke intervals at kinks, with the parameters as symbols."""
    fact = facts.get("kinks")
    for kink in fact.value if fact is not None and isinstance(fact.value, tuple) else ():
        if isinstance(kink, Mapping) and isinstance(kink["clarke"], tuple):
            low, high = (style.value(end) for end in kink["clarke"])
            yield Line(f"kink at {style.value(kink['at'])}", f"Clarke interval [{low}, {high}]", "")


def heading(analysis: Analysis, style: Style) -> str:
    """At which values of the parameters the facts hold; empty without parameters."""
    values = [f"{style.expression(symbol)} = {style.number(value)}" for symbol, value in analysis.parameters.items()]
    if analysis.sigma != 1:
        values.append(f"σ = {style.number(analysis.sigma)}")
    return ", ".join(values)
