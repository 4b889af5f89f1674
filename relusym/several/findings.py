"""What settles a claim: a value with the method that proves it, or a witness against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sympy
from sympy import Expr, Symbol

from relusym.balls import sign
from relusym.calculus.hulls import Vector
from relusym.errors import Undecided
from relusym.facts import Absent, Certificate, Enclosed, Fact, Real, Value, Verdict


@dataclass(frozen=True)
class Finding:
    """A value and how it is known; with a `witness` the claim is refuted by it."""

    value: Value
    method: str
    witness: str | None = None


def refuted(witness: str) -> Finding:
    """The claim fails here."""
    return Finding(False, witness, witness)


def settle(claim: str, find: Callable[[], Finding]) -> Fact:
    """The fact of what is found: proved, refuted, or unknown with the reason."""
    try:
        found = find()
    except Undecided as reason:
        return Fact(claim, Verdict.UNKNOWN, Absent(str(reason)), "not settled")
    if found.witness is None:
        return Fact(claim, Verdict.PROVED, found.value, found.method)
    return Fact(claim, Verdict.REFUTED, found.value, found.method, Certificate("witness", {"witness": found.witness}))


def value_of(facts: Mapping[str, Fact], name: str) -> Value:
    """The value of a fact on which another rests; `Undecided` where it is not known."""
    fact = facts[name]
    if fact.verdict is Verdict.UNKNOWN:
        assert isinstance(fact.value, Absent)
        raise Undecided(f"{fact.claim} is not known: {fact.value.reason}")
    return fact.value


def number_of(facts: Mapping[str, Fact], name: str) -> Real:
    """The value of a fact that is a number."""
    value = value_of(facts, name)
    assert isinstance(value, Expr | Enclosed)
    return value


def sign_known(number: Expr) -> int:
    """The sign of an exact number; `Undecided` where it is not known."""
    found = sign(number)
    if found is None:
        raise Undecided(f"the sign of {number} is not known")
    return found


def chord(value: Callable[[Vector], Expr], one: Vector, other: Vector) -> tuple[int, str]:
    """On which side of the chord f lies in the middle of two points: 1 above, -1 below, 0 on it; and that in words."""
    middle = tuple((a + b) / 2 for a, b in zip(one, other, strict=True))
    here, mean = value(middle), (value(one) + value(other)) / 2
    side = sign_known(here - mean)
    relation = {1: ">", 0: "=", -1: "<"}[side]
    ends = f"f({point(one)}) and f({point(other)})"
    return side, f"f({point(middle)}) = {number(here)} {relation} {number(mean)}, the mean of {ends}"


def point(at: Sequence[Expr]) -> str:
    """Coordinates in words."""
    return ", ".join(map(number, at))


def number(value: Expr) -> str:
    """An exact number in words, long ones by leading digits."""
    return str(value) if sympy.count_ops(value) <= 3 else f"{value.evalf(10)}..."


def names(symbols: Sequence[Symbol]) -> str:
    """Inputs in words."""
    return ", ".join(map(str, symbols))
