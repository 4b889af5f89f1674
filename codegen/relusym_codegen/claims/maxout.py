"""What maxout units can be: one any convex piecewise-linear function, by construction, two any piecewise-linear one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import sympy
from sympy import Expr, Max, Rational, Symbol

from relusym.activation import Activation, piecewise, x
from relusym.parsing import parse
from relusym.printing import grammar_text
from relusym_codegen.claims.citations import GOODFELLOW
from relusym_codegen.claims.proofs import Known, Theorem, by_theorems, signed
from relusym_codegen.claims.statements import Claim, Effort, Settled

_BREAKPOINTS = 3


@dataclass(frozen=True)
class Broken:
    """A continuous piecewise-linear function: slopes from left to right, breakpoints between them, f at the first."""

    slopes: tuple[Expr, ...]
    breakpoints: tuple[Expr, ...]
    value: Expr

    @property
    def lines(self) -> tuple[Expr, ...]:
        """The formula of every piece."""
        formulas = [self.value + self.slopes[0] * (x - self.breakpoints[0])]
        for slope, before, at in zip(self.slopes[1:], self.slopes, self.breakpoints, strict=False):
            formulas.append(sympy.expand(formulas[-1] + (slope - before) * (x - at)))
        return tuple(map(sympy.expand, formulas))

    @property
    def activation(self) -> Activation:
        """The function by its pieces."""
        branches = [(line, x <= at) for line, at in zip(self.lines, self.breakpoints, strict=False)]
        return Activation("broken", piecewise(*branches, (self.lines[-1], True)))


def as_maxout(function: Broken) -> Expr:
    """The largest of the function's own lines, which it is where it is convex: where the slopes rise."""
    return Max(*function.lines)


def as_difference(function: Broken) -> tuple[Expr, Expr]:
    """Two maxout units whose difference it is: one bends where the function bends upwards, one where downwards."""
    up, down = [function.slopes[0]], [sympy.S.Zero]
    for before, slope in zip(function.slopes, function.slopes[1:], strict=False):
        bend = slope - before
        up.append(up[-1] + max(bend, sympy.S.Zero))
        down.append(down[-1] + max(-bend, sympy.S.Zero))
    return (
        as_maxout(Broken(tuple(up), function.breakpoints, function.value)),
        as_maxout(Broken(tuple(down), function.breakpoints, sympy.S.Zero)),
    )


def random_function(seed: int, *, convex: bool) -> Broken:
    """Small fractions; slopes in rising order where it shall be convex."""
    random = np.random.default_rng(seed)

    def fractions(count: int) -> list[Expr]:
        found = random.choice(np.arange(-24, 25), size=count, replace=False)
        return [Rational(int(number), 8) for number in found]

    slopes = fractions(_BREAKPOINTS + 1)
    return Broken(tuple(sorted(slopes) if convex else slopes), tuple(sorted(fractions(_BREAKPOINTS))), fractions(1)[0])


def _lemma() -> list[Known]:
    """Neighbouring lines of a convex function, in symbols: each is the larger one on its own side of the breakpoint.

    The next line is the last one plus (rise of the slope) (x - breakpoint). By induction a line lies below all others
    off its own piece, and above them on it.
    """
    rise, beyond = Symbol("rise", nonnegative=True), Symbol("beyond", nonnegative=True)
    slope, constant, at = sympy.symbols("slope constant breakpoint", real=True)
    here = slope * x + constant
    following = here + rise * (x - at)
    gaps = {
        "right of the breakpoint the next line is not below": (following - here).subs(x, at + beyond),
        "left of it the next line is not above": (here - following).subs(x, at - beyond),
    }
    return [partial(signed, "lines l and l + d (x - t), d >= 0", claim, gap) for claim, gap in gaps.items()]


def _convex_ones(effort: Effort) -> Settled:
    examples = []
    for seed in effort.seeds[:2]:
        function = random_function(seed, convex=True)
        examples.append(Theorem(function.activation, f"f(x) = {as_text(as_maxout(function))}"))
    return by_theorems(
        "Take the lines of the pieces: where slopes rise from left to right, each line is the largest exactly on its "
        "own piece (by induction over the breakpoints from the two inequalities below), so that the maximum of the "
        "lines is the function. Functions with random breakpoints are built and proved equal. ReLU, |x| and leaky "
        "ReLU are cases.",
        true=[
            *examples,
            Theorem("relu", "f(x) = max(0, x)"),
            Theorem(parse("abs(x)", name="absolute"), "f(x) = max(-x, x)"),
        ],
        besides=_lemma(),
    )(effort)


def _any_function(effort: Effort) -> Settled:
    examples = []
    for seed in effort.seeds[:2]:
        function = random_function(seed, convex=False)
        first, second = as_difference(function)
        examples.append(Theorem(function.activation, f"f(x) = {as_text(first)} - {as_text(second)}"))
    return by_theorems(
        "Two units: collect the upward bends in one and the downward bends in the other; the difference of the two "
        "maxima is the function. Functions with random breakpoints are built and proved equal. That continuous "
        "functions on an interval have piecewise-linear ones as near as one likes is uniform continuity, and taken "
        "from there. One unit alone cannot: a maximum of lines is convex, and -|x| is not.",
        true=examples,
        exceptions=[Theorem(parse("-abs(x)", name="tent"), "convex")],
    )(effort)


def as_text(formula: Expr) -> str:
    """A maximum of lines as `prove` reads it."""
    lines = formula.args if isinstance(formula, Max) else (formula,)
    return f"max({', '.join(map(grammar_text, lines))})" if len(lines) > 1 else f"({grammar_text(lines[0])})"


CLAIMS = (
    Claim(
        "maxout-convex",
        "A maxout unit with enough lines is any convex piecewise-linear function.",
        f"{GOODFELLOW}, section 3",
        _convex_ones,
    ),
    Claim(
        "maxout-universal",
        "Maxout units approximate any continuous function on an interval.",
        f"{GOODFELLOW}, section 4",
        _any_function,
    ),
)
