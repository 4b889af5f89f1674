"""Polynomial cores, from which every elementary function of a kernel is made."""

from __future__ import annotations

from relusym.floats import Format
from relusym_codegen.approximants.core import Core
from relusym_codegen.approximants.tables import CORES


def named(name: str, work_format: Format, result: Format | None = None) -> Core:
    """The smallest core of this name for computing in `work_format` what is then rounded to `result`.

    Where the work format is wider than the result, ten bits more than the result has are enough.
    """
    found = sorted((core for core in CORES if core.name == name and core.format == work_format.name), key=_bits)
    if result is None or result.precision >= work_format.precision:
        return found[-1]
    return next((core for core in found if core.bits >= result.precision + 10), found[-1])


def _bits(core: Core) -> int:
    return core.bits
