"""The page of audits: docs/reference/audit.md from benchmarks/results/audit-*.json.

    relusym audit torch --json benchmarks/results/audit-torch.json --force
    relusym audit jax --json benchmarks/results/audit-jax.json --force
    relusym audit onnxruntime --json benchmarks/results/audit-onnxruntime.json --force
    python benchmarks/audit.py

The curves of the plots are dropped from the files: the page has none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from relusym.audit import FRAMEWORKS, Audit, audit_from_json
from relusym.audit.documents import json_text, markdown

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "reference" / "audit.md"

HEAD = """\
# Audits of frameworks

Every activation function of a framework in float16, bfloat16, float32 and float64: the function itself, and its first
and second derivative by the framework's own autograd, on one x86-64 processor. Written by `python benchmarks/audit.py`
from `benchmarks/results/audit-*.json`. To make them anew, for the versions that you have:

    pip install 'relusym[torch]'
    relusym audit torch --json audit.json --markdown audit.md --html audit.html

`audit.html` also has a plot of the errors over x for each row, and three lines of Python for each finding. The command
exits with 1 where it finds defects, and with 0 where `--known FILE` lists all of them as [told
upstream](../how-to/verify-kernels-in-ci.md#known-defects).

## How to read the tables

A number is the largest finite error in ulps, divided by 1 + kappa, kappa being the condition number of the function at
that input: what a slightly moved input explains is taken off. Allowed are 4 forward and 8 for derivatives, about what a
kernel reaches that computes in its own format without mishap. float16 and bfloat16 are judged at all inputs, float32
and float64 at 100,000, denser where functions are in trouble. Behind the number stand the classes of defects:

{classes}

Not counted as defects are choices of a kernel: the value at a kink if it is one of the Clarke interval, subnormal
numbers taken for zero, NaN swallowed by a derivative, and bits that depend on the layout where all of them are right.

What a function is held to is the definition that the framework states; where that has constants of its own, the table
of its defects says so. A defect listed here may be known upstream, or be documented as intended.

"""


def audits() -> list[Audit]:
    """The audits there are, in the order of `FRAMEWORKS`."""
    paths = [RESULTS / f"audit-{name}.json" for name in FRAMEWORKS]
    return [audit_from_json(json.loads(path.read_text(encoding="utf-8"))) for path in paths if path.exists()]


def page(found: Sequence[Audit]) -> str:
    """The page of these audits."""
    from relusym.audit.results import SEVERITY
    from relusym.judge.diagnosis import CLASSES

    seen = {name for audit in found for row in audit.rows for name in row.classes}
    classes = "\n".join(f"- **{name}**: {CLASSES[name]}" for name in SEVERITY if name in seen)
    return HEAD.format(classes=classes) + "\n".join(markdown(audit, level=2) for audit in found)


def main() -> None:
    found = audits()
    for audit in found:
        shorter = replace(audit, rows=tuple(replace(row, curve="", seconds=0.0) for row in audit.rows))
        (RESULTS / f"audit-{audit.framework}.json").write_text(json_text(shorter), encoding="utf-8")
    PAGE.write_text(page(found), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {', '.join(audit.framework for audit in found)}")


if __name__ == "__main__":
    main()
