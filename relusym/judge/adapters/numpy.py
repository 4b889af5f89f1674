"""NumPy: arrays as they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from relusym.judge.adapters.adapter import LAYOUTS, Adapter, Function, takes


def _in_place(fn: Any) -> Function | None:
    """With `out` set to the last input, for functions that have such an argument."""
    if not isinstance(fn, np.ufunc) and not takes(fn, "out"):
        return None
    return lambda *arrays: fn(*arrays, out=arrays[-1])


ADAPTER = Adapter(name="numpy", packages=("numpy",), layouts=LAYOUTS, in_place=_in_place, shares=True)
