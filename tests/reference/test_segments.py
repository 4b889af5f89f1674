"""Polynomials over runs of inputs: their certified radius holds, and ties are told from near ties."""

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relusym import parse
from relusym.activation import Activation, parameter_values
from relusym.activations import NAMES, named
from relusym.floats import from_bits, ulp
from relusym.rounding import reference
from relusym.saturation import beside
from relusym.segments import BLOCK, FORM, SHARP, Segment, evaluate, finely, float_of, inputs_of, segments_of, tail
from relusym.series import definition_of, flint_settings

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


@pytest.mark.parametrize(("name", "at"), [("gelu", -0.7518), ("mish", -1.1925), ("snake", 2.356), ("snake", 5000.0)])
def test_next_to_a_root_two_floats_keep_the_digits(name: str, at: float) -> None:
    segment = segment_at(named(name), 1, int(np.float32(at).view(np.uint32)))
    assert segment is not None
    rough = evaluate([segment]).reshape(-1)
    blurred = np.flatnonzero(segment.radius > SHARP * ulp(rough.astype(np.float32)))
    blurred = blurred[:: blurred.size // 40 + 1]
    fine, radius = finely([segment], blurred)
    x = inputs_of(segment.start, segment.size)[blurred].astype(np.float64)
    found = reference(named(name), x, order=1)
    assert not found.undecided.size
    assert np.all(np.abs(fine - found.value) <= radius + np.spacing(np.abs(found.value)) / 2)
    assert np.all(radius < segment.radius / 100)


SATURATED = [
    ("tanhshrink", 20.0, 21.0, 1, -1, 1),
    ("tanhshrink", -21.0, -20.0, 1, 1, -1),
    ("tanhshrink", 2.0**24, 2.0**25, 1, -1, 1),
    ("tanh", 20.0, 21.0, 0, 1, -1),
    ("tanh", -21.0, -20.0, 0, -1, 1),
    ("silu", 30.0, 31.0, 1, 0, -1),
    ("gelu", 9.0, 10.0, 1, 0, -1),
    ("sigmoid", 30.0, 40.0, 0, 1, -1),
    ("mish", 20.0, 21.0, 1, 0, -1),
    ("elu", -31.0, -30.0, 0, -1, 1),
]


@pytest.mark.parametrize(("name", "low", "high", "slope", "offset", "sign"), SATURATED)
def test_what_saturates_is_a_line_and_a_rest_of_known_sign(
    name: str, low: float, high: float, slope: int, offset: int, sign: int
) -> None:
    definition = definition_of(named(name), tuple(parameter_values(named(name), None).items()), None, 0)
    found = beside(definition, low, high)
    assert found is not None
    assert (found.slope, found.offset, found.sign) == (slope, offset, sign)
    if high > 100:
        return  # as far beside the line as no balls can tell
    with flint_settings():
        flint.ctx.prec, flint.ctx.cap = 512, 1
        for at in (low, (low + high) / 2, high):
            x = flint.arb(at)
            rest = definition.balls(512, 1)(flint.arb_series([x]))[0] - (slope * x + offset)
            assert rest * sign > 0
            assert abs(rest) <= found.largest
    assert found.largest < 1e-6


@pytest.mark.parametrize(("name", "low", "high"), [("tanhshrink", -1.0, 1.0), ("snake", 3.0, 4.0), ("relu", -1.0, 1.0)])
def test_where_the_sign_of_the_rest_is_open_nothing_is_said(name: str, low: float, high: float) -> None:
    definition = definition_of(named(name), tuple(parameter_values(named(name), None).items()), None, 0)
    assert beside(definition, low, high) is None


def test_of_a_derivative_no_line_is_known() -> None:
    assert beside(definition_of(named("tanhshrink"), (), None, 1), 20.0, 21.0) is None
