"""Any array library that speaks DLPack: NumPy arrays go in as they are, and what comes back is taken by DLPack."""

from __future__ import annotations

from typing import Any

import numpy as np

from relusym.judge.adapters.adapter import LAYOUTS, Adapter


def _taken(result: Any) -> Any:
    if isinstance(result, np.ndarray) or getattr(result, "__dlpack__", None) is None:
        return result
    return np.from_dlpack(result, device="cpu")


ADAPTER = Adapter(name="dlpack", layouts=LAYOUTS - {"unaligned"}, taken=_taken, shares=True)
