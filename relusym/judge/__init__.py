"""The judge: is this kernel right, for any callable on NumPy arrays."""

from relusym.judge.checking import check
from relusym.judge.exhaustive import SweepRecord, Trial, exhaust
from relusym.judge.metrics import Bound
from relusym.judge.reports import Finding, Report

__all__ = ["Bound", "Finding", "Report", "SweepRecord", "Trial", "check", "exhaust"]
