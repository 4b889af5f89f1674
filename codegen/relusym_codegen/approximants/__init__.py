"""Polynomial cores for functions that NumPy lacks or that a plain formula would cancel."""

from __future__ import annotations

from relusym.floats import Format
from relusym_codegen.approximants.core import Core
from relusym_codegen.approximants.tables import CORES

_TABLE = {(core.name, core.format): core for core in CORES}


def named(name: str, work_format: Format) -> Core:
    """The core of this name for computing in `work_format`."""
    return _TABLE[name, work_format.name]
