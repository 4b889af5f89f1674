"""Rulings that rest on theorems alone: `relusym.prove` and the facts of `analyse` say which."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import sympy
from sympy import Expr

from relusym.activation import Activation, Number
from relusym.activations import named
from relusym.analysis import analyse
from relusym.facts import Absent, Fact, Verdict
from relusym.formulas.text import TEXT, expression_text, kink_text
from relusym.printing import grammar_text
from relusym.proving import prove
from relusym_codegen.claims.statements import Effort, Evidence, Ruling, Settled

Known: TypeAlias = "Callable[[], Evidence]"
"""Something that is looked up or worked out when it is asked for."""


@dataclass(frozen=True)
class Theorem:
    """A claim in the language of `prove`, about a function of the catalogue or another, with values of parameters."""

    subject: str | Activation
    claim: str
    parameters: Mapping[str, Number] = field(default_factory=dict, hash=False)

    @property
    def activation(self) -> Activation:
        """The function that it is about."""
        return named(self.subject) if isinstance(self.subject, str) else self.subject


def settled_by(theorem: Theorem) -> Evidence:
    """What `prove` says, with its witness or method."""
    fact = prove(theorem.activation, theorem.claim, theorem.parameters)
    return Evidence(_subject(theorem), theorem.claim, fact.verdict.value.lower(), _known(fact))


def fact_of(name: str, fact: str, parameters: Mapping[str, Number] | None = None) -> Evidence:
    """A fact of `analyse` as evidence: its value, and the method that proves it."""
    return _of_fact(name, analyse(named(name), parameters).facts[fact], parameters or {})


def kinks_of(name: str) -> Evidence:
    """The points without a derivative, with slopes and Clarke intervals."""
    analysis = analyse(named(name))
    fact = analysis.facts["kinks"]
    told = "; ".join(f"{expression_text(kink.at)} ({kink_text(kink, analysis)})" for kink in analysis.kinks)
    return Evidence(name, f"{fact.claim}: {told or 'none'}", fact.verdict.value.lower(), fact.method)


def general_fact_of(name: str, fact: str) -> Evidence:
    """The same for all values of the parameters, with the conditions under which it holds."""
    return _of_fact(name, analyse(named(name)).general[fact], {})


def by_theorems(
    says: str,
    *,
    true: Iterable[Theorem] = (),
    false: Iterable[Theorem] = (),
    exceptions: Iterable[Theorem | Known] = (),
    besides: Iterable[Known] = (),
) -> Callable[[Effort], Settled]:
    """A claim that says that the `true` theorems hold and the `false` ones do not.

    It is proved when all of that comes out, and true with a condition where theorems that it would imply as it stands,
    the `exceptions`, come out refuted. It is refuted, with the witnesses, where anything comes out the other way, and
    unknown where something is not settled. What it rests on `besides` has to be proved, too.
    """

    def settle(_: Effort) -> Settled:
        holding, failing = ([settled_by(one) for one in group] for group in (true, false))
        limits = [settled_by(one) if isinstance(one, Theorem) else one() for one in exceptions]
        facts = [fact() for fact in besides]
        return Settled(_ruling([*holding, *facts], failing, limits), says, (*holding, *failing, *limits, *facts))

    return settle


def signed(subject: str, claim: str, difference: Expr, *, strictly: bool = False) -> Evidence:
    """That a difference is not negative, or positive, by the signs that SymPy knows of its symbols; else unknown."""
    written = sympy.expand(difference)
    holds = written.is_positive if strictly else written.is_nonnegative
    sign = ">" if strictly else ">="
    return Evidence(
        subject, claim, "proved" if holds else "unknown", f"the difference is {grammar_text(written)} {sign} 0"
    )


def _ruling(holding: list[Evidence], failing: list[Evidence], limits: list[Evidence]) -> Ruling:
    if any(one.verdict not in ("proved", "refuted") for one in (*holding, *failing, *limits)):
        return Ruling.UNKNOWN
    if any(one.verdict == "refuted" for one in holding) or any(one.verdict == "proved" for one in failing):
        return Ruling.REFUTED
    return Ruling.CONDITIONAL if any(one.verdict == "refuted" for one in limits) else Ruling.PROVED


def _of_fact(name: str, fact: Fact, parameters: Mapping[str, Number]) -> Evidence:
    value = TEXT.value(fact.value)
    conditions = f" where {' and '.join(fact.conditions)}" if fact.conditions else ""
    return Evidence(
        _subject(Theorem(name, "", parameters)),
        f"{fact.claim}: {value}{conditions}",
        fact.verdict.value.lower(),
        fact.method,
    )


def _known(fact: Fact) -> str:
    if fact.verdict is Verdict.REFUTED:
        assert fact.certificate is not None
        return str(fact.certificate.evidence["witness"])
    return fact.value.reason if isinstance(fact.value, Absent) else fact.method


def _subject(theorem: Theorem) -> str:
    """A function of the catalogue by its name, another by its formula; with the values that were given."""
    name = theorem.subject if isinstance(theorem.subject, str) else expression_text(theorem.subject.expr)
    values = ", ".join(f"{key} = {value}" for key, value in theorem.parameters.items())
    return f"{name}, {values}" if values else name
