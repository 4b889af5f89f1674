"""The audit of a framework: all its activation functions, judged as anybody's kernels are.

What the functions are is data (`torch.toml`, ...); what is wrong with them is found by the judge, which has no list of
it. `audit()` runs them, `documents` and `pages` say what came out.
"""

from relusym.audit.entries import FRAMEWORKS, Entry, Framework, framework_named
from relusym.audit.results import Audit, Defect, Kink, Row, audit_from_json
from relusym.audit.running import COMPUTES, DTYPES, audit

__all__ = [
    "COMPUTES",
    "DTYPES",
    "FRAMEWORKS",
    "Audit",
    "Defect",
    "Entry",
    "Framework",
    "Kink",
    "Row",
    "audit",
    "audit_from_json",
    "framework_named",
]
