"""Functions of several inputs or values - maxout, gated units, CReLU: form, facts, and subdifferentials at points."""

from __future__ import annotations

from relusym.several.layers import SeveralLayer, affine_several
from relusym.several.subgradients import subdifferential_at
from relusym.several.table import SeveralAnalysis, analyse_several

__all__ = ["SeveralAnalysis", "SeveralLayer", "affine_several", "analyse_several", "subdifferential_at"]
