"""Matplotlib, loaded when a picture is drawn, and the settings that all pictures share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from relusym.errors import Missing

SETTINGS = {
    "svg.hashsalt": "relusym",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}


def matplotlib(needed_by: str) -> tuple[Any, Any]:
    """Matplotlib and its `Figure`; `Missing` where it is not installed. `needed_by` is a subject with its verb."""
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise Missing(f"{needed_by} matplotlib; install it with: pip install 'relusym[plot]'") from None
    return mpl, Figure


@contextmanager
def figures(needed_by: str, **settings: Any) -> Iterator[Any]:
    """`Figure` inside our settings and these: the same picture whatever the user's matplotlibrc says."""
    mpl, figure = matplotlib(needed_by)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({**SETTINGS, **settings})
        yield figure
