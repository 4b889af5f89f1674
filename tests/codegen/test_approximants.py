"""The committed tables are what their script makes, and as accurate as they say."""

from pathlib import Path

import mpmath
import pytest
from relusym_codegen import approximants
from relusym_codegen.approximants import make, minimax
from relusym_codegen.approximants.tables import CORES

from relusym.floats import FORMATS

ROWS = {row.name: row for row in make.ROWS}
LONG = {("erfcx", 57), ("normal", 57)}
"""Cores whose certificates take as long as those of all others together."""


@pytest.mark.parametrize(
    "core",
    [
        # one length of each core; that none was changed since shows in its certificate
        pytest.param(core, id=f"{core.name}-{core.bits}", marks=() if core.bits == 28 else pytest.mark.slow)
        for core in CORES
        if core.bits < 57
    ],
)
def test_the_script_reproduces_the_committed_tables(core) -> None:
    coefficients, error = make.core(ROWS[core.name], core.bits, make.PRECISION[core.format])
    assert coefficients == core.coefficients
    assert float(f"{error:.3e}") == core.relative_error


def test_every_row_of_the_script_is_in_the_tables() -> None:
    text = Path(make.__file__).with_name("tables.py").read_text(encoding="utf-8")
    assert {(core.name, core.format, core.bits) for core in CORES} == {
        (row.name, form, bits) for row in make.ROWS for form, bits in make.SIZES
    }
    assert text.startswith('"""Polynomial cores, written by make.py: do not edit."""')


@pytest.mark.parametrize(
    "core",
    [
        pytest.param(core, id=f"{core.name}-{core.bits}", marks=pytest.mark.slow if key in LONG else ())
        for core in CORES
        for key in [(core.name, core.bits)]
    ],
)
def test_the_certificate_holds_for_the_committed_coefficients(core) -> None:
    row = ROWS[core.name]
    problem = minimax.Problem(row.function, row.weight, row.lower, row.upper(core.bits))
    assert minimax.certified_error(problem, core.coefficients) <= core.relative_error * 1.001
    assert core.relative_error < 2.0**-core.bits


def test_a_wrong_coefficient_is_not_certified() -> None:
    core = approximants.named("exp", FORMATS["float32"])
    row = ROWS["exp"]
    broken = (core.coefficients[0], (core.coefficients[1][0] * (1 + 2.0**-18), 0.0), *core.coefficients[2:])
    problem = minimax.Problem(row.function, row.weight, row.lower, row.upper(core.bits))
    assert minimax.certified_error(problem, broken) > 2.0**-core.bits


def test_cores_are_as_long_as_the_result_needs() -> None:
    lengths = [
        len(approximants.named("exp", FORMATS[work], FORMATS[result]).coefficients)
        for work, result in (
            ("float32", "float16"),
            ("float32", "float32"),
            ("float64", "float32"),
            ("float64", "float64"),
        )
    ]
    assert lengths == sorted(lengths)
    assert len(set(lengths)) == 4


def test_exp_agrees_with_its_polynomial() -> None:
    core = approximants.named("exp", FORMATS["float64"])
    with mpmath.mp.workdps(40):
        for index in range(-34, 35):
            r = mpmath.mpf(index) / 100
            value = (
                1
                + r
                + r**2
                * mpmath.polyval([mpmath.mpf(high) + mpmath.mpf(low) for high, low in reversed(core.coefficients)], r)
            )
            assert abs(value / mpmath.exp(r) - 1) <= core.relative_error


def test_ball_arithmetic_is_left_as_it_was() -> None:
    from flint import ctx

    before = ctx.prec, ctx.cap
    row = ROWS["cosine"]
    make.core(row, 21, 24)
    assert (ctx.prec, ctx.cap) == before
