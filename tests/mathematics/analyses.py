"""Analyses of the catalogue at its default parameters, each made once in a process for all tests that read it."""

import functools

from relusym.activations import named
from relusym.analysis import Analysis, analyse


@functools.cache
def analysed(name: str) -> Analysis:
    """The analysis of this entry: frozen, and what it has found it keeps."""
    return analyse(named(name))
