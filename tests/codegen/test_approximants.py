"""The committed tables are what their script makes, and as accurate as they say."""

import mpmath
import pytest
from relusym_codegen.approximants import make
from relusym_codegen.approximants.tables import CORES


def test_the_script_reproduces_the_committed_tables() -> None:
    from pathlib import Path

    committed = Path(make.__file__).with_name("tables.py").read_text(encoding="utf-8")
    assert make.tables() == committed


@pytest.mark.parametrize("core", CORES, ids=lambda core: f"{core.name}-{core.format}")
def test_a_core_is_as_accurate_as_its_bound(core) -> None:
    function, (low, high), _ = next(entry[1:] for entry in make.CORES if entry[0] == core.name)
    with mpmath.mp.workdps(60):
        end = (core.upper - core.centre) / mpmath.mpf(core.upper + core.centre) if core.centre else mpmath.mpf(high)
        for index in range(257):
            at = low + (end - low) * mpmath.mpf(index) / 256
            value = mpmath.polyval([mpmath.mpf(c) for c in reversed(core.coefficients)], at)
            assert abs(value / function(at) - 1) <= core.relative_error * 1.05
    assert core.relative_error < {"float32": 2.0**-23, "float64": 2.0**-52}[core.format]
