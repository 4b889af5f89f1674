"""The page of the gates that CUDA kernels pass without a GPU: docs/reference/gpu-gates.md.

    pip install -e '.[gpu-check]'
    python benchmarks/gpu_gates.py

Every kernel of the catalogue that a training step calls, in all dtypes, for all architectures.
"""

from __future__ import annotations

from pathlib import Path

from relusym_codegen.gates import running, toolchain
from relusym_codegen.gates.reports import QUANTITIES, page

from relusym.activations import SEVERAL, catalogue, named
from relusym.workers import in_processes

ROOT = Path(__file__).parents[1]


def main() -> None:
    work = running.units([*catalogue(), *map(named, SEVERAL)], computes=QUANTITIES)
    outcomes = in_processes(work, running.run, doing="compiling", name=running.name_of)
    text = page(outcomes, command="python benchmarks/gpu_gates.py", versions=toolchain.versions())
    (ROOT / "docs" / "reference" / "gpu-gates.md").write_text(text, encoding="utf-8")
    if findings := [finding for outcome in outcomes for finding in outcome.findings]:
        raise SystemExit("\n".join(map(str, findings)))


if __name__ == "__main__":
    main()
