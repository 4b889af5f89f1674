"""Polynomials over runs of inputs: their certified radius holds, and ties are told from near ties."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relusym import parse
from relusym.activation import Activation
from relusym.activations import NAMES, named
from relusym.floats import from_bits
from relusym.rounding import reference
from relusym.segments import BLOCK, FORM, Segment, evaluate, float_of, inputs_of, segments_of, tail

FINITE = st.integers(0, 2**32 - 1).filter(lambda pattern: pattern >> 23 & 255 != 255)
NEAR_ONE = st.integers(100 << 23, (140 << 23) - 1).flatmap(lambda bits: st.sampled_from([bits, bits | 1 << 31]))


def segment_at(activation: Activation, order: int, pattern: int) -> Segment | None:
    block = segments_of(activation, order).block(pattern // BLOCK)
    inside = [s for s in block.segments if s.start <= pattern < s.start + s.size]
    left_open = [run for run in block.open if run[0] <= pattern < run[0] + run[1]]
    assert len(inside) + len(left_open) == 1, "every pattern is in one segment, or in one open run"
    return inside[0] if inside else None


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=12, deadline=None)
@given(patterns=st.lists(FINITE | NEAR_ONE, min_size=3, max_size=3))
def test_the_exact_value_lies_within_the_radius(name: str, order: int, patterns: list[int]) -> None:
    activation = named(name)
    for pattern in patterns:
        segment = segment_at(activation, order, pattern)
        if segment is None or segment.radius == np.inf:
            continue
        at = np.array([0, segment.size - 1, pattern - segment.start])
        p = evaluate([segment])[0][at]
        # In float64 the reference is exact to half an ulp of float64, which is less than a radius that is not 0.
        found = reference(activation, inputs_of(segment.start, segment.size)[at].astype(np.float64), order=order)
        exact = found.value
        judged = np.isfinite(p) & np.isfinite(exact)
        judged[found.undecided] = False
        room = segment.radius + np.spacing(np.abs(exact)) / 2
        assert np.all(np.abs(p - exact)[judged] <= room[judged])
        assert np.all((exact >= segment.low - room)[judged] & (exact <= segment.high + room)[judged])


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "hardshrink", "relu_squared"])
def test_straight_lines_and_squares_cost_nothing(name: str) -> None:
    segment = segment_at(named(name), 0, int(np.float32(1.5).view(np.uint32)))
    assert segment is not None
    assert segment.radius == 0
    assert len(segment.coefficients) == (3 if name == "relu_squared" else 2)


def test_beside_a_tie_the_next_term_decides() -> None:
    gelu = named("gelu")
    segment = segment_at(gelu, 0, 0x00400001)
    assert segment is not None
    assert segment.tail_radius is not None
    x = np.array([float_of(0x00400001)])
    assert segment.coefficients[1] == 0.5
    assert tail(segment, x)[0] > segment.tail_radius
    even = segments_of(parse("x/2"), 0)
    line = even.block(0x00400001 // BLOCK).segments[0]
    assert line.radius == 0


def test_ties_of_a_decimal_slope_are_known_to_be_ties() -> None:
    slope = parse("x/100")
    cover = segments_of(slope, 0)
    start = 0x01000000
    (segment,) = cover.block(start // BLOCK).segments
    quantum = cover.quantum(segment)
    assert quantum is not None
    assert quantum > 4 * segment.radius


@pytest.mark.parametrize(("name", "breakpoint"), [("hardshrink", 0.5), ("relu6", 6.0)])
def test_a_kink_leaves_its_surroundings_open(name: str, breakpoint: float) -> None:
    pattern = int(np.float32(breakpoint).view(np.uint32))
    blocks = [segments_of(named(name), 1).block(number) for number in (pattern // BLOCK - 1, pattern // BLOCK)]
    runs = [run for block in blocks for run in block.open]
    assert sum(size for _, size in runs) <= 128
    assert any(start <= pattern < start + size for start, size in runs)


@pytest.mark.parametrize("formula", ["sin(x**3)", "1/sin(x)"])
def test_what_cannot_be_certified_is_open_and_not_guessed(formula: str) -> None:
    block = segments_of(parse(formula), 0).block(int(np.float32(1e20).view(np.uint32)) // BLOCK)
    assert block.hopeless
    assert sum(size for _, size in block.open) == BLOCK


def test_no_segment_for_infinities_and_nan() -> None:
    block = segments_of(named("tanh"), 0).block(0x7F800000 // BLOCK)
    assert not block.segments
    assert np.isinf(from_bits(np.array([block.open[0][0]], dtype=np.uint32), FORM))[0]


@pytest.mark.parametrize("name", ["softplus", "mish", "silu", "squareplus"])
def test_far_out_one_polynomial_serves_a_block(name: str) -> None:
    for number in (2.0**90, -(2.0**90)):
        block = segments_of(named(name), 0).block(int(np.float32(number).view(np.uint32)) // BLOCK)
        assert len(block.segments) == 1
