"""Our CPU kernels beside sympy.lambdify, PyTorch (where installed) and np.copyto, in one run.

    python benchmarks/cpu.py [--target c|numpy] [--threads N] [--quick] [NAME ...]

For n = 2^16 and 2^24, float32 and float64, forward and derivative: the median time per element of each contender,
on one thread unless told otherwise, and its largest error in ulps on a fixed sample of 28,000 inputs against the
correctly rounded reference. Writes benchmarks/results/cpu-TARGET.json and docs/reference/benchmarks-TARGET.md
(with several threads: the JSON alone, cpu-TARGET-threads.json).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch
import sympy
from relusym_codegen import generate

from relusym.activation import parameter_values
from relusym.activations import NAMES, named
from relusym.calculus.derivatives import derivative
from relusym.floats import FORMATS
from relusym.judge.metrics import error_in_ulps
from relusym.pieces import split
from relusym.rounding import reference

ROOT = Path(__file__).parents[1]
SIZES = (2**16, 2**24)


def nanoseconds(run: Callable[[], Any], n: int) -> float:
    """Median time of a call, per element."""
    run()
    times = []
    repeats = 15 if n <= 2**18 else 2
    inner = max(1, 2**19 // n)
    for _ in range(repeats):
        start = time.perf_counter()
        for _ in range(inner):
            run()
        times.append((time.perf_counter() - start) / inner)
    return sorted(times)[(len(times) - 1) // 2] / n * 1e9


def sample(form: Any) -> np.ndarray:
    """Normal, wide and log-uniform inputs of both signs."""
    random = np.random.default_rng(20)
    exponents = random.uniform(form.min_exponent, min(form.max_exponent, 60), 8000)
    wide = np.concatenate(
        [
            random.normal(size=6000) * 3,
            random.uniform(-110, 110, 6000),
            np.exp2(exponents) * random.choice([-1, 1], 8000),
        ]
    )
    return wide.astype(form.dtype)


def preallocated(fn: Callable[..., Any]) -> Callable[[np.ndarray], Callable[[], Any]]:
    def with_input(x: np.ndarray) -> Callable[[], Any]:
        out = np.empty_like(x)
        return lambda: fn(x, out=out)

    return with_input


def contenders(
    name: str, dtype: str, order: int, target: str, threads: int
) -> dict[str, Callable[[np.ndarray], Callable[[], Any]]]:
    """For each, a function that takes the input array and gives a call to time and its result."""
    activation = named(name)
    computes = ("forward", "derivative")[order]
    found: dict[str, Callable[[np.ndarray], Callable[[], Any]]] = {}
    for accuracy in ("precise", "fast") if dtype == "float32" else ("precise",):
        fn = generate(name, target, dtype, computes, accuracy, arguments=()).load()
        found[accuracy] = preallocated(fn)
    values = parameter_values(activation)
    expr = activation.expr.subs(values)
    symbol = activation.inputs[0]
    plain = sympy.lambdify(symbol, sympy.diff(expr, symbol, order), "numpy" if not expr.has(sympy.erf) else "scipy")
    found["lambdify"] = lambda x: lambda: plain(x)
    try:
        import torch
    except ImportError:
        return found
    torch.set_num_threads(threads)
    functional = pytorch.function(torch, name)
    if functional is not None:

        def torch_call(x: np.ndarray) -> Callable[[], Any]:
            tensor = torch.from_numpy(x).requires_grad_(order == 1)
            if order == 0:
                return lambda: functional(tensor).numpy()
            result = functional(tensor)
            ones = torch.ones_like(tensor)
            return lambda: torch.autograd.grad(result, tensor, ones, retain_graph=True)[0].numpy()

        found["torch"] = torch_call
    return found


def largest_error(call: Callable[[np.ndarray], Callable[[], Any]], x: np.ndarray, expected: Any) -> float:
    got = np.asarray(call(x)())
    if got.shape != x.shape:
        got = np.broadcast_to(got, x.shape)
    with np.errstate(all="ignore"):
        got = got.astype(x.dtype)
    errors = error_in_ulps(got, expected.value, expected.offset)
    errors[expected.undecided] = 0.0
    return float(np.max(errors))


def measure(name: str, dtype: str, order: int, sizes: tuple[int, ...], target: str, threads: int) -> dict[str, Any]:
    form = FORMATS[dtype]
    activation = named(name)
    values = parameter_values(activation)
    pieces = split(activation, values)
    shown = derivative(pieces, 1, stated=activation.subgradients) if order else pieces
    points = sample(form)
    if name == "snake":
        points = points[np.abs(points) < 2**20]
    expected = reference(
        activation, points, order=order, at_breakpoints=dict(zip(shown.breakpoints, shown.values, strict=True))
    )
    row: dict[str, Any] = {"activation": name, "dtype": dtype, "computes": ("forward", "derivative")[order]}
    inputs = {n: (np.random.default_rng(n).normal(size=n) * 3).astype(form.dtype) for n in sizes}
    for contender, call in contenders(name, dtype, order, target, threads).items():
        entry: dict[str, Any] = {"max_ulp": largest_error(call, points, expected)}
        for n, x in inputs.items():
            entry[str(n)] = nanoseconds(call(x), n)
        row[contender] = entry
    copies = {}
    for n, x in inputs.items():
        out = np.empty_like(x)
        copies[str(n)] = nanoseconds(lambda x=x, out=out: np.copyto(out, x), n)
    row["copy"] = copies
    return row


NOTES = {
    "numpy": (
        "Where `lambdify` is faster, it runs a short formula as it stands: the errors beside it say what that costs.",
        "Selects by bit masks, exponentials of non-positive arguments and two halves of a decaying factor take more",
        "passes over memory than `x/(1 + exp(-x))`; [compiled kernels](benchmarks-c.md) do them in one.",
    ),
    "c": (
        "A call costs about 1.6 microseconds before its first element, 0.025 ns per element at n = 2^16. PyTorch's",
        "backward of sigmoid and tanh starts from the saved output; our derivatives start from x.",
    ),
}


def page(rows: list[dict[str, Any]], versions: dict[str, str], sizes: tuple[int, ...], target: str) -> str:
    lines = [
        f"# Speed of the {'NumPy' if target == 'numpy' else 'C'} kernels",
        "",
        f"Written by `python benchmarks/cpu.py --target {target}`; every row is one run on one machine,",
        "single-threaded, normal inputs of standard deviation 3, output preallocated for our kernels.",
        "`lambdify / fast` says how many times longer",
        "`sympy.lambdify` takes than our `fast` kernel (for float64: than `precise`, its only tier). The errors are",
        "the largest over 28,000 fixed inputs, in ulps of the dtype, against the correctly rounded value; inf means",
        "NaN or infinity for a finite value. PyTorch's derivative is its autograd's backward pass.",
        "",
        *NOTES[target],
        "",
        "Measured with " + ", ".join(f"{key} {value}" for key, value in versions.items()) + ".",
    ]
    for n in sizes:
        key = str(n)
        lines += ["", f"## n = 2^{n.bit_length() - 1}", ""]
        lines += [
            "| activation | dtype | computes | fast ns | precise ns | lambdify / fast | torch / fast "
            "| precise / lambdify | fast / copy | ulp fast | ulp precise | ulp lambdify | ulp torch |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows:
            precise = row["precise"]
            fast = row.get("fast", precise)
            torch = row.get("torch")
            cells = [
                row["activation"],
                row["dtype"],
                row["computes"],
                f"{fast[key]:.2f}",
                f"{precise[key]:.2f}",
                f"{row['lambdify'][key] / fast[key]:.2f}",
                f"{torch[key] / fast[key]:.2f}" if torch else "",
                f"{precise[key] / row['lambdify'][key]:.2f}",
                f"{fast[key] / row['copy'][key]:.1f}",
                f"{fast['max_ulp']:.3g}",
                f"{precise['max_ulp']:.3g}",
                f"{row['lambdify']['max_ulp']:.3g}",
                f"{torch['max_ulp']:.3g}" if torch else "",
            ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="n = 2^16 only")
    parser.add_argument("--target", choices=("c", "numpy"), default="c")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("names", nargs="*", default=[])
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # read when the first kernel is loaded
    sizes = SIZES[:1] if given.quick else SIZES
    names = given.names or [name for name in NAMES if name != "identity"]
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    rows = []
    for name in names:
        for dtype in ("float32", "float64"):
            for order in (0, 1):
                rows.append(measure(name, dtype, order, sizes, given.target, given.threads))
                row = rows[-1]
                times = {key: f"{value['65536']:.2f}" for key, value in row.items() if isinstance(value, dict)}
                print(row["activation"], row["dtype"], row["computes"], times, flush=True)
    versions = {"Python": platform.python_version(), "NumPy": np.__version__, "SymPy": sympy.__version__}
    try:
        import torch

        versions["PyTorch"] = torch.__version__
    except ImportError:
        pass
    versions["CPU"] = platform.processor() or platform.machine()
    if not given.names:
        results = ROOT / "benchmarks" / "results"
        results.mkdir(exist_ok=True)
        document = {
            "schema": 1,
            "versions": versions,
            "sizes": sizes,
            "threads": given.threads,
            "unit": "ns per element",
            "rows": rows,
        }
        stem = f"cpu-{given.target}" + ("-threads" if given.threads > 1 else "")
        (results / f"{stem}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        if given.threads == 1:
            text = page(rows, versions, sizes, given.target)
            (ROOT / "docs" / "reference" / f"benchmarks-{given.target}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
