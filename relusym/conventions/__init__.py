"""Kink values of frameworks: data files, one for each framework and version, and what is read off them.

`torch-2.13.json` says what PyTorch 2.13 returns as the derivative at each breakpoint of each function that it has. Its
name is a subgradient policy: "torch-2.13", or "torch" for the latest version held. The values were measured, not
looked up: `benchmarks/conventions.py` measures an installed framework anew.
"""

from relusym.conventions.documents import render
from relusym.conventions.holdings import Convention, Entry, Point, convention, full_name, names
from relusym.conventions.policies import resolved
from relusym.conventions.tables import Row, Table, table

__all__ = [
    "Convention",
    "Entry",
    "Point",
    "Row",
    "Table",
    "convention",
    "full_name",
    "names",
    "render",
    "resolved",
    "table",
]
