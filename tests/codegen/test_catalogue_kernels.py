"""Laws of the kernels of the whole catalogue.

Fast derivatives in float32 are what they are tried on: no other programs need more rules, and as c and cuda run the
same ones each is made once for all tests of this file.
"""

import re
import warnings

import numpy as np
import pytest
from relusym_codegen import acceptance, generate
from relusym_codegen.program import ARITHMETIC, evaluate
from relusym_codegen.targets import cuda

from relusym.activations import NAMES

needs_compiler = pytest.mark.skipif(
    acceptance.missing("cuda") is not None, reason="no C++ compiler to run CUDA text on the CPU"
)
PRECISE = ("elu", "snake", "squareplus", "softplus")
"""A piece, a period, a root, a logarithm; quickly generated."""


@pytest.mark.parametrize("target", ["c", "cuda"])
@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_needs_no_function_of_the_platform(name: str, target: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kernel = generate(name, target, "float32", "derivative", "fast")
    assert kernel.foreign == ()
    assert {let.operation for let in kernel.program.lets} <= ARITHMETIC


@pytest.mark.parametrize(
    ("name", "target"),
    [
        *((name, None) for name in NAMES),
        *(pytest.param(name, "cuda", marks=needs_compiler) for name in ("gelu", "silu", "mish")),
    ],
)
def test_a_kernel_runs_its_program_bit_for_bit(name: str, target: str | None) -> None:
    kernel = generate(name, target, "float32", accuracy="fast", computes="derivative")
    arguments = {argument: 0.25 if argument == "alpha" else 1.0 for argument in kernel.arguments}
    points = np.linspace(-9, 9, 3001).astype(np.float32)
    (expected,) = evaluate(kernel.program, {"x": points, **{key: np.float32(v) for key, v in arguments.items()}})
    got = kernel.load("cpu" if target else None)(points, **arguments)
    assert np.array_equal(got, expected.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("name", "accuracy", "computes"),
    [
        *((name, "fast", "derivative") for name in NAMES),
        *((name, "precise", "forward") for name in PRECISE),
        *(
            pytest.param(name, "precise", computes, marks=pytest.mark.slow)
            for name in NAMES
            for computes in ("forward", "derivative")
            if computes == "derivative" or name not in PRECISE
        ),
    ],
)
def test_a_float32_program_for_cuda_holds_no_double_no_division_and_no_root(
    name: str, accuracy: str, computes: str
) -> None:
    text = generate(name, "cuda", "float32", computes, accuracy).device_source
    assert cuda.slow_operations(text) == []
    code = re.sub(r"//.*", "", text)
    assert not re.search(r"\bdouble\b", code)
    assert not re.search(r"(?<![\w.])\d+\.\d*(e[-+]?\d+)?(?![\df.e])", code), "a literal without f is a double"
    assert not re.search(r"\b(exp|log|sqrt|tanh|erfc?|fabs|expm1|log1p)\(", code)
