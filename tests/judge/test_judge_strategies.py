"""Where the judge looks: the inputs hold what the strategies promise."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relusym import activations, parse
from relusym.floats import FORMATS, Format, all_values, from_ordinal, neighbours, ordinal, to_bits, ulp
from relusym.judge import strategies
from relusym.judge.expectations import expectation, quantities_of
from relusym.judge.strategies import (
    CLOSE,
    Lattice,
    drawn_points,
    edge_points,
    floats_of,
    gradients_for,
    inputs_for,
    lattices,
    spread_points,
)

FORMS = list(FORMATS.values())


def named(form: Format) -> str:
    return form.name


def holds(x: np.ndarray, values: np.ndarray) -> bool:  # type: ignore[type-arg]
    return bool(np.all(np.isin(to_bits(values), to_bits(x))))


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_edges_hold_the_named_cases(form: Format) -> None:
    x = edge_points(form)
    wanted = [0.0, np.inf, -np.inf, np.nan, form.max, -form.max, form.smallest_normal, 1.0, -1.0]
    wanted += [form.smallest_subnormal, -form.smallest_subnormal]
    wanted += [form.smallest_normal - form.smallest_subnormal]
    assert holds(x, np.array(wanted).astype(form.dtype))
    assert holds(x, np.array([-0.0]).astype(form.dtype))


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_inputs_hold_every_float_close_to_a_landmark(form: Format) -> None:
    places = np.array([-3.0, 0.5], dtype=form.dtype)
    x = inputs_for(form, places, points=0, examples=5, seed=1)
    assert holds(x, neighbours(places, CLOSE))
    zero = neighbours(np.zeros(1, dtype=form.dtype), 3)
    assert holds(x, zero)
    assert np.unique(to_bits(x)).size == x.size


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_spread_points_reach_every_binade_in_common_use_on_both_sides(form: Format) -> None:
    x = spread_points(form, seed=0).astype(np.float64)
    _, exponents = np.frexp(x[np.isfinite(x) & (x != 0)])
    lowest = max(-20, form.min_exponent)
    assert set(range(lowest, 6)) <= set(exponents.tolist())
    assert 0.4 < np.mean(x < 0) < 0.6


def test_draws_depend_on_the_seed_alone() -> None:
    form = FORMATS["float32"]
    places = np.array([1.0], dtype=form.dtype)
    first = drawn_points(form, places, examples=20, seed=3)
    assert drawn_points(form, places + 1, examples=20, seed=3).tobytes() != first.tobytes()
    settings.register_profile("frugal", max_examples=1)
    settings.load_profile("frugal")
    strategies._drawn.cache_clear()  # what was drawn is remembered
    try:
        second = drawn_points(form, places, examples=20, seed=3)
    finally:
        settings.load_profile("default")
    assert np.array_equal(to_bits(first), to_bits(second))
    other = drawn_points(form, places, examples=20, seed=4)
    assert not np.array_equal(to_bits(first), to_bits(other))


def test_draws_do_not_depend_on_the_modules_that_are_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hypothesis collects the constants of all modules outside site-packages and draws them now and then.
    (tmp_path / "constants_in_sight.py").write_text(f"NUMBERS = {list(range(300, 900))}\nTEXT = {b'x' * 19!r}\n")
    drawing = (
        "import numpy, zlib; from relusym.floats import FORMATS; from relusym.judge.strategies import drawn_points;"
        "form = FORMATS['float32'];"
        "print(zlib.crc32(drawn_points(form, numpy.ones(1, numpy.float32), examples=200, seed=0).tobytes()))"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    alone, beside = (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        for code in (drawing, f"import constants_in_sight; {drawing}")
    )
    assert alone == beside


def test_draws_leave_the_random_generators_and_the_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    states = random.getstate(), np.random.get_state()[1].tolist()
    strategies._drawn.cache_clear()
    drawn_points(FORMATS["float32"], np.zeros(1, np.float32), examples=5, seed=0)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert list(tmp_path.iterdir()) == []


def test_no_examples_draw_nothing() -> None:
    assert drawn_points(FORMATS["float32"], np.zeros(1, np.float32), examples=0, seed=0).size == 0


@settings(deadline=None, max_examples=60)
@given(data=st.data(), form=st.sampled_from(FORMS))
def test_lattice_points_are_equally_many_floats_apart(data: st.DataObject, form: Format) -> None:
    drawn = data.draw(lattices(form, np.array([1.0], dtype=form.dtype), most=64))
    points = drawn.points(form)
    assert points.size <= drawn.length
    assert points.dtype == form.dtype
    assert not np.any(np.isnan(points))
    assert np.all(np.diff(ordinal(points)) == drawn.step)


@settings(deadline=None, max_examples=60)
@given(data=st.data(), form=st.sampled_from(FORMS))
def test_single_floats_are_of_their_format(data: st.DataObject, form: Format) -> None:
    assert np.asarray(data.draw(floats_of(form))).dtype == form.dtype


def test_a_lattice_ends_at_infinity() -> None:
    form = FORMATS["float16"]
    points = Lattice(form.infinity_ordinal - 3, 2, 10).points(form)
    assert points.astype(float).tolist() == [65440.0, 65504.0]


@settings(deadline=None, max_examples=100)
@given(data=st.data(), form=st.sampled_from(FORMS))
def test_ordinals_count_floats(data: st.DataObject, form: Format) -> None:
    last = form.infinity_ordinal - 1
    position = np.array([data.draw(st.integers(-last, last - 1))])
    x = from_ordinal(position, form)
    above = from_ordinal(position + 1, form)
    assert ordinal(x)[0] == position[0]
    step = float(above[0]) - float(x[0])
    assert step in (float(ulp(x)[0]), float(ulp(x)[0]) / 2)


@pytest.mark.parametrize("form", FORMS, ids=named)
def test_gradients_are_finite_and_some_are_huge_or_tiny(form: Format) -> None:
    x = np.zeros(4000, dtype=form.dtype)
    gradient = gradients_for(x, seed=0)
    assert gradient.dtype == form.dtype
    size = np.abs(gradient.astype(np.float64))
    assert np.all(np.isfinite(size))
    assert size.max() > 2.0 ** (form.max_exponent // 2)
    assert np.any(size < 2.0 ** (form.min_exponent // 2))
    assert 0.4 < np.median(size) < 1


def test_landmarks_find_breakpoints_roots_and_the_edges_of_the_exponent_range() -> None:
    form = FORMATS["float32"]

    def landmarks(text: str, computes: str = "forward") -> np.ndarray:  # type: ignore[type-arg]
        activation = parse(text)
        found = expectation(activation, quantities_of(computes, activation)[0]).landmarks(form)
        return np.sort(found.astype(np.float64))

    def near(found: np.ndarray, place: float) -> bool:  # type: ignore[type-arg]
        return bool(np.any(np.abs(found - place) <= 4 * np.spacing(np.float32(abs(place)))))

    assert near(landmarks("Piecewise((x, x > 1/3), (2*x, True))"), 1 / 3)
    assert near(landmarks("exp(x)"), 88.72284)  # overflow
    assert near(landmarks("exp(x)"), -87.33655)  # subnormal from here on
    assert near(landmarks("exp(x)"), -103.97208)  # zero from here on
    assert near(landmarks("x**2 - 2"), 2**0.5)
    assert near(landmarks("x/(1 + exp(-x))", "derivative"), -1.2784645)
    assert near(landmarks("x + sin(x)", "derivative"), np.pi)  # a double root: no sign changes


def test_every_16_bit_pattern_is_listed_once() -> None:
    for form in FORMS[:2]:
        assert np.array_equal(to_bits(all_values(form)), np.arange(2**16))


def test_landmarks_of_every_activation_are_floats_of_the_format() -> None:
    form = FORMATS["float32"]
    for name in ("hardswish", "selu", "mish", "snake"):
        activation = activations.named(name)
        for computes in ("forward", "derivative"):
            found = expectation(activation, quantities_of(computes, activation)[0]).landmarks(form)
            assert found.dtype == np.float32
            assert 1 <= found.size <= 200
