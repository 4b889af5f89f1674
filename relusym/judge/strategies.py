"""Where to look: Hypothesis draws a region, a bit pattern, a step and a length; NumPy makes the points.

Drawing floats one by one would be a thousand times slower and would never meet the neighbours of a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from relusym.floats import (
    Array,
    Format,
    format_of,
    from_bits,
    from_ordinal,
    neighbours,
    ordinal,
    round_to,
    to_bits,
    to_format,
)

CLOSE = 24
"""How many floats on both sides of a landmark are always tried."""

LEAST_SPREAD = 3000
"""Points of each kind that are spread over the format, however few are asked for."""

DRAWN = 96
"""Bits of one drawn lattice: more than the 80 or so that region, step, length and place of a float64 take."""


@dataclass(frozen=True)
class Lattice:
    """Points `step` floats apart, from `start` on: positions are counted in floats, 0 being zero."""

    start: int
    step: int
    length: int

    def points(self, form: Format) -> Array:
        """The floats at these positions; none lies beyond the infinities."""
        last = form.infinity_ordinal
        count = np.arange(self.length, dtype=np.int64)
        start = max(self.start, -last)
        reach = (last - start) // self.step + 1
        return from_ordinal(start + self.step * count[: max(reach, 0)], form)


def bit_patterns(form: Format) -> SearchStrategy[int]:
    """Every bit pattern of the format, NaNs and infinities included."""
    return st.integers(0, 2**form.bits - 1)


def floats_of(form: Format) -> SearchStrategy[np.generic]:
    """Single floats of any of the four formats by bit pattern (Hypothesis itself knows no bfloat16)."""
    return bit_patterns(form).map(lambda bits: from_bits(np.array([bits]), form)[0])


def lattices(form: Format, landmarks: Array, *, most: int = 256) -> SearchStrategy[Lattice]:
    """Lattices near a landmark, from a bit pattern, or across an ordinary region, with any step."""
    return _numbers().map(_reading(form, landmarks, most))


def _numbers() -> SearchStrategy[int]:
    # Of single bits: among integers and bytes Hypothesis mixes constants that it finds in the modules loaded so far,
    # and the same seed would give other inputs in another program.
    return st.tuples(*[st.booleans()] * DRAWN).map(lambda bits: int("".join("01"[bit] for bit in bits), 2))


def _reading(form: Format, landmarks: Array, most: int = 256) -> Callable[[int], Lattice]:
    """How a drawn number is read as a lattice of this format."""
    infinity = form.infinity_ordinal
    mantissas = 2 ** (form.precision - 1)
    places = sorted({int(place) for place in ordinal(landmarks)}) or [0]
    exponents = range(form.min_exponent // 8, 7)

    def lattice(drawn: int) -> Lattice:
        drawn, region = divmod(drawn, 3)
        drawn, shift = divmod(drawn, form.precision + 2)
        drawn, shorter = divmod(drawn, most // 2 + 1)
        step, length = 1 << shift, most - shorter
        if region == 0:
            return Lattice(places[drawn % len(places)] - length // 2 * step, step, length)
        if region == 1:
            drawn, sign = divmod(drawn, 2)
            drawn, exponent = divmod(drawn, len(exponents))
            start = (exponents[exponent] + form.max_exponent) * mantissas + drawn % mantissas
            return Lattice(-start if sign else start, step, length)
        return Lattice(drawn % (2 * infinity + 1) - infinity, step, length)

    return lattice


def drawn_points(form: Format, landmarks: Array, *, examples: int, seed: int) -> Array:
    """The points of so many drawn lattices, always the same for one seed, whatever profile is loaded."""
    if examples < 1:
        return np.zeros(0, dtype=form.dtype)
    lattice = _reading(form, landmarks)
    return np.concatenate([lattice(number).points(form) for number in _drawn(examples, seed)])


@lru_cache(maxsize=32)  # drawing costs more than judging at what is drawn, and the next kernel asks for the same
def _drawn(examples: int, seed: int) -> tuple[int, ...]:
    # In a thread of its own: whoever judges a kernel inside a test of Hypothesis is not drawing for that test.
    with ThreadPoolExecutor(1) as alone:
        return alone.submit(_draw, examples, seed).result()


def _draw(examples: int, seed: int) -> tuple[int, ...]:
    found: list[int] = []

    @seeded(seed)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        report_multiple_bugs=False,
    )
    @given(_numbers())
    def draw(number: int) -> None:
        found.append(number)

    run: Callable[[], None] = draw
    run()
    return tuple(found)


def edge_points(form: Format) -> Array:
    """±0, ±inf, NaN, the smallest and largest subnormal, normal and finite numbers, and ±1."""
    magnitudes = [0, 1, 2, 3]
    for value in (form.smallest_normal, form.max, 1.0, 2.0, 0.5):
        here = int(ordinal(np.array([value], dtype=form.dtype))[0])
        magnitudes += [here - 2, here - 1, here, here + 1]
    positions = np.array(magnitudes, dtype=np.int64)
    sided = from_ordinal(np.unique(np.concatenate([positions, -positions])), form)
    specials = np.array([-0.0, np.inf, -np.inf, np.nan], dtype=form.dtype)
    # NaN has two signs, of which processors make the negative one, and a payload.
    quiet = int(to_bits(specials[-1:])[0])
    others = from_bits(np.array([quiet | 1 << (form.bits - 1), quiet | 1], dtype=np.uint64), form)
    return np.concatenate([sided, specials, others])


def spread_points(form: Format, *, seed: int, count: int = LEAST_SPREAD) -> Array:
    """So many each, of both signs: any float, magnitudes log-uniform over 2**-24..2**8, and uniform over ±40."""
    random = np.random.default_rng(seed)
    infinity = form.infinity_ordinal
    anywhere = from_ordinal(random.integers(-infinity + 1, infinity, count), form)
    signs = random.choice([-1.0, 1.0], count)
    wide = np.concatenate([signs * np.exp2(random.uniform(-24, 8, count)), random.uniform(-40, 40, count)])
    return np.concatenate([anywhere, to_format(round_to(wide, form), form)])


def inputs_for(form: Format, landmarks: Array, *, points: int, examples: int, seed: int) -> Array:
    """About so many inputs of one check: edges, landmarks and around them, drawn lattices, and points spread widely."""
    finite = landmarks[np.isfinite(landmarks)]
    parts = [
        edge_points(form),
        neighbours(np.concatenate([finite, np.zeros(1, dtype=form.dtype)]), CLOSE),
        drawn_points(form, finite, examples=examples, seed=seed),
    ]
    left = points - sum(part.size for part in parts)
    parts.append(spread_points(form, seed=seed, count=max(left // 3, LEAST_SPREAD)))
    patterns = np.unique(to_bits(np.concatenate(parts)))
    return from_bits(patterns, form)


def gradients_for(x: Array, *, seed: int) -> Array:
    """One incoming gradient for each input: normally distributed, one in eight of any size, one in 64 at an edge.

    The edges are zeros of both signs, the smallest subnormal and normal numbers, and the largest one.
    """
    form = format_of(x.dtype)
    random = np.random.default_rng(seed)
    wide = random.standard_normal(x.size)
    anywhere = np.exp2(random.uniform(-1, 1, x.size) * (form.max_exponent - 1))
    wide = np.where(random.random(x.size) < 1 / 8, np.copysign(anywhere, wide), wide)
    edges = np.array([0.0, form.smallest_subnormal, form.smallest_normal, form.max])
    wide = np.where(random.random(x.size) < 1 / 64, np.copysign(random.choice(edges, x.size), wide), wide)
    return to_format(round_to(wide, form), form)
