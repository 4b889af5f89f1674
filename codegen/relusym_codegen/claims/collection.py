"""All claims in the order of the page, and settling some of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from relusym.errors import InvalidRequest
from relusym.workers import in_processes
from relusym_codegen.claims import (
    centring,
    comparison,
    convergence,
    definition,
    depth,
    dying,
    maxout,
    quoted,
    selfnormalising,
    sparsity,
    speed,
    subgradients,
    vanishing,
    variants,
)
from relusym_codegen.claims.statements import FULL, Claim, Effort, Settled

CLAIMS: tuple[Claim, ...] = (
    *definition.CLAIMS,
    *subgradients.CLAIMS,
    *sparsity.CLAIMS,
    *vanishing.CLAIMS,
    *depth.CLAIMS,
    *dying.CLAIMS,
    *centring.CLAIMS,
    *variants.CLAIMS,
    *selfnormalising.CLAIMS,
    *comparison.CLAIMS,
    *maxout.CLAIMS,
    *speed.CLAIMS,
    *convergence.CLAIMS,
    *quoted.CLAIMS,
)


@dataclass(frozen=True)
class Outcome:
    """A claim, and what became of it."""

    claim: Claim
    settled: Settled


def chosen(words: Iterable[str]) -> tuple[Claim, ...]:
    """The claims whose name or statement holds one of these words, in either case; all without words.

    Raises `InvalidRequest` for a word that no claim holds.
    """
    wanted = [word.casefold() for word in words]
    for word in wanted:
        if not any(_holds(claim, word) for claim in CLAIMS):
            names = ", ".join(claim.name for claim in CLAIMS)
            raise InvalidRequest(f"no claim speaks of {word!r}; the claims are {names}")
    return tuple(claim for claim in CLAIMS if not wanted or any(_holds(claim, word) for word in wanted))


def outcome_of(claim: Claim, effort: Effort = FULL) -> Outcome:
    """One claim put to the test."""
    return Outcome(claim, claim.settle(effort))


def settle(claims: Iterable[Claim] = CLAIMS, effort: Effort = FULL) -> list[Outcome]:
    """Each claim put to the test, one after the other, so that none disturbs the times of another."""
    return in_processes(
        tuple(claims),
        lambda claim: outcome_of(claim, effort),
        doing="putting claims to the test",
        name=lambda claim: claim.name,
        jobs=1,
    )


def _holds(claim: Claim, word: str) -> bool:
    return word in claim.name.casefold() or word in claim.statement.casefold()
