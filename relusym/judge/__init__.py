"""The judge: is this kernel right, for any callable on NumPy arrays."""

from relusym.judge.checking import assert_agrees, check
from relusym.judge.exhaustive import SweepRecord, Trial, exhaust
from relusym.judge.metrics import Bound
from relusym.judge.reports import Finding, KinkValue, Report

__all__ = ["Bound", "Finding", "KinkValue", "Report", "SweepRecord", "Trial", "assert_agrees", "check", "exhaust"]
