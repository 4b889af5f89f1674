"""The page of sweep records: docs/reference/sweeps.md from benchmarks/results/sweeps-c.json.

    relusym verify --target c --dtype float32 --exhaustive --json benchmarks/results/sweeps-c.json
    python benchmarks/sweeps.py

The first takes some two hours. The digests of single binades are dropped from the file: the one over all of them
stays, and `--against` compares it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from relusym.activations import NAMES

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


def records() -> dict[tuple[str, str, str], dict[str, Any]]:
    """The records by activation, quantity and accuracy, in the order of the catalogue; the file is made shorter."""
    path = RESULTS / "sweeps-c.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for record in document["records"]:
        record["digests"] = []
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    found = {(one["activation"], one["computes"], one["kernel"].split()[-1]): one for one in document["records"]}
    return {key: found[key] for key in sorted(found, key=lambda key: (NAMES.index(key[0]), key[1] != "forward"))}


def page(found: dict[tuple[str, str, str], dict[str, Any]]) -> str:
    """The table, one line for an activation and a quantity."""
    assert all(record["stride"] == 1 for record in found.values())
    lines = [
        "# Sweeps of the C kernels",
        "",
        "Written by `python benchmarks/sweeps.py` from the sweep records in `benchmarks/results`: float32, default",
        "parameters, subnormals included, the same bits as the CUDA text where it says `fast`; every one of the 2^32",
        "inputs. The bounds are 4 ulps for `fast` and 0.51 for `precise`; snake is judged up to |x| = 2^20.",
        "Functions of others are swept in the same way: `relusym verify NAME --callable WHERE --exhaustive`, see",
        "[Accuracy](accuracy.md#exhaustive-sweeps).",
        "",
        "| activation | computes | fast: max ulp | at | > 1 ulp | precise: max ulp | wrong roundings |",
        "|---|---|---|---|---|---|---|",
    ]
    for activation, computes in dict.fromkeys((key[0], key[1]) for key in found):
        fast, precise = (found[activation, computes, accuracy] for accuracy in ("fast", "precise"))
        worst = fast["worst_inputs"][0]["input"] if fast["worst_inputs"] else ""
        lines.append(
            f"| {activation} | {computes} | {float.fromhex(fast['max_ulp']):.3f} | {worst} "
            f"| {fast['over_one'] / fast['tested']:.2%} | {float.fromhex(precise['max_ulp']):.4f} "
            f"| {precise['wrong'] / precise['tested']:.1e} |"
        )
    missed = [record for record in found.values() if not record["passed"]]
    if missed:
        lines += ["", "Beyond their bound:", ""]
    for record in missed:
        for finding in record["findings"]:
            name = f"{record['activation']} {record['computes']}, {record['kernel']}"
            lines.append(f"- {name}: {finding['message']}, at {finding['count']} of {record['tested']:,} inputs")
    versions = next(iter(found.values()))["versions"]
    lines += ["", "Measured with " + ", ".join(f"{key} {value}" for key, value in versions.items()) + ".", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    (ROOT / "docs" / "reference" / "sweeps.md").write_text(page(records()), encoding="utf-8")
