"""The C text: it computes what its program says, in vectors, for every layout of arrays, and stands alone."""

import dataclasses
import inspect
import random
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from relusym_codegen import acceptance, compilers, generate
from relusym_codegen.kernel import Kernel
from relusym_codegen.program import ARITHMETIC, OPERATIONS, Builder, Program, evaluate
from relusym_codegen.signatures import signature_of
from relusym_codegen.target import Header
from relusym_codegen.targets import c
from typer.testing import CliRunner

from relusym import floats
from relusym.activations import named
from relusym.cli import app
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS

pytestmark = pytest.mark.skipif(compilers.available() is None, reason="no C compiler")

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
F32, F64 = FORMATS["float32"], FORMATS["float64"]


def kernel(program: Program, dtype: str = "float32", computes: str = "forward", name: str = "f") -> Kernel:
    """A kernel that runs this program; inputs beyond x and grad are its arguments."""
    arguments = tuple(name for name in program.inputs if name not in ("x", "grad"))
    form = FORMATS[dtype]
    header = Header(name, "f", "", computes, form, "fast", "none", "no version", arguments, signature_of(computes))
    return dataclasses.replace(
        generate("relu", "c", dtype),
        computes=computes,
        signature=header.signature,
        work_format=program.work_format,
        arguments=arguments,
        identifier=header.identifier,
        source=c.TARGET.render(header, program),
        program=program,
    )


def affine() -> Program:
    """A little of everything that vectorises: x alpha + 1 where x > 0, else x / 2."""
    b = Builder(("x", "alpha"), F32)
    return b.program(b("select", b("gt", "x", 0.0), b("fma", "x", "alpha", 1.0), b("mul", "x", 0.5)))


def expected_affine(x: Any, alpha: Any) -> Any:
    return evaluate(affine(), {"x": x, "alpha": np.broadcast_to(np.float32(alpha), np.shape(x))})[0]


@pytest.fixture(scope="module")
def fn() -> Any:
    return kernel(affine()).load()


@pytest.fixture(scope="module")
def product() -> Any:
    """grad * x, as a backward kernel."""
    b = Builder(("grad", "x"), F32)
    return kernel(b.program(b("mul", "grad", "x")), computes="backward").load()


@pytest.fixture(scope="module")
def both() -> Any:
    """x + 1 and x * 3, as a kernel with two results."""
    b = Builder(("x",), F32)
    return kernel(b.program(b("add", "x", 1.0), b("mul", "x", 3.0)), computes="forward-derivative").load()


POINTS = np.linspace(-9, 9, 131).astype(np.float32)


# ---- what is computed

NUMBERS = {"float32": [0.5, -2.5, 100.0, float(np.float32(0.1)), float("inf")], "float64": [0.1, -2.5, 1e300, 3.0]}


@st.composite
def programs(draw: Any, work: str) -> Program:
    """Straight lines of arithmetic on x.

    The bits of a NaN and the sign of a zero that `max` chooses are nobody's promise: neither is looked at. The
    float64 `fma` of `evaluate` is exact for products of moderate size and sums that are not zero.
    """
    rng = draw(st.randoms(use_true_random=False))
    b = Builder(("x",), FORMATS[work])
    values: dict[str, list[Any]] = {"float": ["x"], "mask": [b("lt", "x", 1.0)], "int": [b("bits", b("abs", "x"))]}
    operations = sorted((ARITHMETIC | {"div", "sqrt"}) - {"bits"})
    for _ in range(draw(st.integers(1, 25))):
        operation = rng.choice(operations)
        some = {kind: rng.choice(found[-5:]) for kind, found in values.items()}
        number = rng.choice(NUMBERS[work])
        match operation:
            case "from_bits":
                made = b(operation, some["int"])
            case "select":
                made = b(operation, some["mask"], some["float"], rng.choice([number, rng.choice(values["float"])]))
            case "max" | "min":
                made = b(operation, some["float"], number)
            case "fma":
                made = b(operation, "x", 3.0, number) if work == "float64" else b(operation, some["float"], 3.0, "x")
            case "shl" | "shr":
                made = b(operation, some["int"], rng.randrange(FORMATS[work].bits))
            case _ if OPERATIONS[operation].yields == "int":
                made = b(operation, some["int"], rng.choice([rng.choice(values["int"]), 7, -(2**31), 0x7EF311C7]))
            case _:
                others = [rng.choice([number, rng.choice(values["float"])]) for _ in range(2)]
                made = b(operation, some["float"], *others[: OPERATIONS[operation].arity - 1])
        if isinstance(made, str):
            values[OPERATIONS[operation].yields].append(made)
            if operation in ("add", "mul", "sub"):
                values["int"].append(b("bits", b("select", b("eq", made, made), made, 1.0)))
    return b.program(values["float"][-1])


def inputs(work: str) -> Any:
    form = FORMATS[work]
    special = np.array(
        [0.0, -0.0, 1.0, form.max, -form.max, form.smallest_normal, form.smallest_subnormal, np.inf, -np.inf]
    )
    return np.concatenate([special, np.linspace(-20, 20, 401), np.geomspace(1e-30, 1e30, 90)]).astype(work)


def same(got: Any, wanted: Any) -> bool:
    """Bit for bit, where all NaNs are one."""
    got, wanted = (np.where(np.isnan(array), array.dtype.type(np.nan), array) for array in (got, wanted))
    return got.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("work", ["float32", "float64"])
@given(data=st.data())
@settings(  # each example is compiled: shrinking one would take minutes
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)
def test_c_computes_what_the_program_says_to_the_bit(work: str, data: st.DataObject) -> None:
    drawn = [data.draw(programs(work)) for _ in range(6)]
    loaded = c.load_together([kernel(program, work, name=f"f{index}") for index, program in enumerate(drawn)])
    x = inputs(work)
    for program, call in zip(drawn, loaded, strict=True):
        assert same(call(x), evaluate(program, {"x": x})[0]), program


@pytest.mark.parametrize("work", ["float32", "float64"])
def test_the_fused_multiply_add_rounds_once(work: str) -> None:
    b = Builder(("x", "a", "b"), FORMATS[work])
    rng = np.random.default_rng(7)
    x, first, second = (rng.normal(size=4000).astype(work) for _ in range(3))
    second[::2] = -(x * first)[::2]  # what is left of the product
    program = b.program(b("fma", "x", "a", "b"))
    wanted = evaluate(program, {"x": x, "a": first, "b": second})[0]
    assert np.count_nonzero(wanted[::2])
    assert same(kernel(program, work).load()(x, first, second), wanted)


@pytest.mark.parametrize("work", ["float32", "float64"])
def test_maximum_and_minimum_hand_on_a_nan_of_their_first_operand(work: str) -> None:
    for operation in ("max", "min"):
        b = Builder(("x",), FORMATS[work])
        got = kernel(b.program(b(operation, "x", 2.0)), work).load()(np.array([np.nan, 1, 3], work))
        assert np.isnan(got[0])
        assert got[1:].tolist() == ([2, 3] if operation == "max" else [1, 2])


@pytest.mark.parametrize("work", ["float32", "float64"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bit_formats_are_read_exactly_and_rounded_once(dtype: str, work: str) -> None:
    form = FORMATS[dtype]
    everything = floats.all_values(form)
    identity = Program(("x",), (), ("x",), FORMATS[work])
    same_again = kernel(identity, dtype).load()(everything)
    nan = np.isnan(everything.astype(np.float32))
    assert np.array_equal(same_again.view(np.uint16)[~nan], everything.view(np.uint16)[~nan])
    assert np.isnan(same_again[nan].astype(np.float32)).all()
    # the numbers between: every tie, its neighbours in the work format, and far too large or small ones
    with np.errstate(all="ignore"):
        exact = np.unique(everything[~nan].astype(np.float64))
        finite = exact[np.isfinite(exact)]
        ties = np.append((finite[1:] + finite[:-1]) / 2, [form.max + 2.0 ** (form.max_exponent - form.precision)])
        ties = np.concatenate([ties, -ties[-1:], finite, [1e-46, -1e-46, 3e38, -3e38, np.inf, -np.inf, 0.0, -0.0]])
        a = ties.astype(work)
        a = np.concatenate(
            [a, np.nextafter(a, a.dtype.type(np.inf)), np.nextafter(a, a.dtype.type(-np.inf)), a[:1] * 0]
        )
        rng = np.random.default_rng(3)
        a = np.concatenate([a, (rng.normal(size=50000) * np.exp2(rng.uniform(-40, 40, 50000))).astype(work)])
        wanted = floats.to_format(floats.round_to(a.astype(np.float64), form), form)
    narrow = kernel(Program(("x", "a"), (), ("a",), FORMATS[work]), dtype).load()
    got = narrow(np.zeros(a.shape, form.dtype), a)
    assert np.array_equal(got.view(np.uint16), wanted.view(np.uint16))
    payloads = np.array([0x7FF8000000000001, 0x7FF0000000000001, 0xFFFFFFFFFFFFFFFF], np.uint64).view(np.float64)
    if work == "float32":
        payloads = np.array([0x7FC00001, 0x7F800001, 0xFFFFFFFF], np.uint32).view(np.float32)
    assert np.isnan(narrow(np.zeros(3, form.dtype), payloads).astype(np.float32)).all()


# ---- layouts


def test_body_and_tail_give_the_same_bits_at_every_length(fn: Any) -> None:
    whole = expected_affine(POINTS, 0.3)
    for length in range(68):
        for start in (0, 1, 3):
            part = POINTS[start : start + length]
            assert np.array_equal(fn(part, 0.3), whole[start : start + length])


def test_any_shape_and_stride(fn: Any) -> None:
    cube = np.arange(-60, 60, dtype=np.float32).reshape(4, 5, 6)
    readonly = cube.copy()
    readonly.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + cube.tobytes(), np.uint8)[1:].view(np.float32).reshape(cube.shape)
    for x in (
        cube,
        cube.T,
        cube[::2],
        cube[:, ::-1],
        cube[..., 1:4],
        np.asfortranarray(cube),
        cube[:, None, ::2],
        np.broadcast_to(cube[0], (3, 5, 6)),
        readonly,
        unaligned,
        cube.astype(">f4"),
        cube[:0],
        cube[2, 3, 1],
        cube[2, 3, 1:2].reshape(()),
    ):
        native = np.ascontiguousarray(x, np.float32).reshape(np.shape(x))
        assert np.array_equal(fn(x, 0.3), expected_affine(native, 0.3))
        assert fn(x, 0.3).shape == np.shape(x)
        assert fn(x, 0.3).dtype == np.float32
    assert fn(2, 0.5) == 2
    assert fn([2.0, 4.0], 0.5).tolist() == [2, 3]


def test_results_go_where_they_are_asked_for(fn: Any, both: Any) -> None:
    wanted = expected_affine(POINTS, 0.3)
    for out in (
        np.empty(131, np.float32),
        np.empty(262, np.float32)[::2],
        np.empty(131, np.float32)[::-1],
        np.empty(131, ">f4"),
    ):
        assert fn(POINTS, 0.3, out=out) is out
        assert np.array_equal(out, wanted)
    x = POINTS.copy()
    assert fn(x, 0.3, out=x) is x
    assert np.array_equal(x, wanted)
    first, second = np.empty(131, np.float32), POINTS.copy()
    got = both(second, out=(first, second))
    assert got[0] is first
    assert got[1] is second
    assert np.array_equal(first, POINTS + np.float32(1))
    assert np.array_equal(second, POINTS * np.float32(3))


@pytest.mark.parametrize("shift", [1, 5, 64])
def test_overlapping_memory_does_no_harm(fn: Any, product: Any, shift: int) -> None:
    for reverse in (False, True):
        memory = np.linspace(-9, 9, 400).astype(np.float32)
        source, target = memory[shift:], memory[:-shift]
        if reverse:
            source, target = target, source
        wanted = expected_affine(source.copy(), 2.0)
        assert np.array_equal(fn(source, 2.0, out=target), wanted)
    memory = np.linspace(-9, 9, 400).astype(np.float32)
    wanted = memory[::-1] * memory
    assert np.array_equal(product(memory[::-1], memory, out=memory), wanted)


def test_memory_that_may_not_be_written_is_read_and_never_filled(fn: Any) -> None:
    x = POINTS.copy()
    x.flags.writeable = False
    wanted = expected_affine(POINTS, 0.3)
    assert np.array_equal(fn(x, 0.3), wanted)
    assert np.array_equal(fn(x[::2], 0.3), wanted[::2])
    for out in (x, x[::-1], np.broadcast_to(np.float32(1), x.shape)):
        with pytest.raises(ValueError, match="read-only"):
            fn(POINTS, 0.3, out=out)
    assert np.array_equal(x, POINTS)


@pytest.mark.parametrize("count", [0, 1, 3, 4])
def test_as_many_arrays_are_filled_as_there_are_results(both: Any, count: int) -> None:
    outs = tuple(np.zeros_like(POINTS) for _ in range(count))
    with pytest.raises(ValueError, match=f"fills y, dy, but out has {count}"):
        both(POINTS, out=outs)
    assert not any(map(np.any, outs))


def test_a_loaded_kernel_says_what_it_takes(fn: Any, both: Any) -> None:
    assert str(inspect.signature(fn)) == "(x, alpha, out=None)"
    assert str(inspect.signature(both)) == "(x, out=None)"
    assert callable(fn)


def test_arrays_broadcast(fn: Any, product: Any) -> None:
    x = np.arange(-12, 12, dtype=np.float32).reshape(2, 3, 4)
    grad = np.array([1, 2, 3, 4], np.float32)
    assert np.array_equal(product(grad, x), grad * x)
    assert np.array_equal(product(x, grad), x * grad)
    alpha = np.array([0.5, 1, 2], np.float32)[:, None]
    assert np.array_equal(fn(x, alpha), expected_affine(x, np.broadcast_to(alpha, x.shape)))
    assert np.array_equal(fn(x, alpha=alpha.astype(np.float64)), fn(x, alpha))
    assert np.array_equal(fn(x, np.float32(0.5)), fn(x, 0.5))
    assert np.array_equal(fn(x, alpha=0.5), fn(x, 0.5))
    many = np.linspace(-1, 1, 100_003).astype(np.float32)
    assert np.array_equal(fn(many, many), expected_affine(many, many))


def test_many_elements_are_shared_among_threads_without_a_trace(fn: Any, product: Any) -> None:
    x = np.linspace(-9, 9, 3 * c.THREADS_ABOVE + 77).astype(np.float32)
    wanted = expected_affine(x, 0.3)
    assert np.array_equal(fn(x, 0.3), wanted)
    assert np.array_equal(fn(x, 0.3, out=x), wanted)
    assert np.array_equal(product(wanted[::-1], wanted), wanted[::-1] * wanted)


def test_refusals_are_those_of_the_numpy_kernels() -> None:
    mine, theirs = generate("prelu", "c").load(), generate("prelu", "numpy").load()
    readonly = np.empty(3, np.float32)
    readonly.flags.writeable = False
    for call in (
        lambda fn: fn(np.zeros(3), 0.1),
        lambda fn: fn(np.zeros(3, np.float32), 0.1, out=np.zeros(3)),
        lambda fn: fn(np.zeros(3, np.float32), 0.1, out=np.zeros(4, np.float32)),
        lambda fn: fn(np.zeros(3, np.float32), 0.1, out=[0, 0, 0]),
        lambda fn: fn(np.zeros(3, np.float32), np.zeros(4), out=None),
        lambda fn: fn(np.zeros(3, np.float32), 0.1, out=readonly),
    ):
        with pytest.raises((TypeError, ValueError)) as their:
            call(theirs)
        with pytest.raises(their.type, match=re.escape(str(their.value))):
            call(mine)
    for wrong in (lambda: mine(), lambda: mine(np.zeros(3, np.float32)), lambda: mine(POINTS, 1, beta=2)):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(InvalidRequest, match="not on 'gpu'"):
        generate("relu", "c").load(on="gpu")


# ---- the text


@pytest.mark.parametrize("tool", COMPILERS)
@pytest.mark.parametrize("extra", [(), ("-fopenmp",), ("-march=native",)], ids=" ".join)
def test_the_text_compiles_without_a_warning(tool: str, extra: tuple[str, ...], tmp_path: Path) -> None:
    texts = {
        generated.identifier: generated.source
        for dtype in ("float16", "bfloat16", "float32", "float64")
        for generated in (
            generate("silu", "c", dtype),
            generate("prelu", "c", dtype, "backward"),
            generate("identity", "c", dtype, "derivative"),
            generate("elu", "c", dtype, "forward-derivative", "fast"),
            generate("prelu", "c", dtype, "backward-parameters"),
        )
    }
    path = tmp_path / "kernels.c"
    path.write_text("\n".join(texts.values()))
    strict = ("-std=c99", "-O1", "-pedantic", "-Wall", "-Wextra", "-Werror")
    done = subprocess.run([tool, *strict, *extra, "-c", path, "-o", tmp_path / "k.o"], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert not done.stderr
    fast = subprocess.run([tool, "-ffast-math", "-c", path, "-o", tmp_path / "k.o"], capture_output=True, text=True)
    assert "without -ffast-math" in fast.stderr


def everything(work: str, seed: int) -> Program:
    """A long program of arithmetic, to be vectorised."""
    rng = random.Random(seed)
    b = Builder(("x",), FORMATS[work])
    reals, masks, integers = ["x", b("fma", "x", 3.0, 1.0)], [b("lt", "x", 1.0)], [b("bits", "x")]
    for operation in [*sorted(ARITHMETIC), "div", "sqrt"] * 2:
        kinds = {"float": reals, "mask": masks, "int": integers}
        made = {
            "bits": lambda: b("bits", reals[-1]),
            "from_bits": lambda: b("from_bits", integers[-1]),
            "select": lambda: b("select", masks[-1], reals[-1], rng.choice(reals)),
            "shl": lambda: b("shl", integers[-1], 3),
            "shr": lambda: b("shr", integers[-1], 3),
        }.get(operation)
        meaning = OPERATIONS[operation]
        pool = integers if meaning.yields == "int" else reals
        result: Any = made() if made else b(operation, *[pool[-1], *rng.choices(pool, k=meaning.arity - 1)])
        kinds[meaning.yields].append(result)
    total: Any = reals[-1]
    for value in [*reals[-6:], b("from_bits", integers[-1]), b("select", masks[-1], 1.0, "x")]:
        total = b("add", total, value)
    return b.program(total)


@pytest.mark.parametrize("tool", COMPILERS)
@pytest.mark.parametrize(("processor", "register"), [("haswell", "ymm"), ("skylake-avx512", "zmm")])
def test_arithmetic_becomes_vectors_without_a_call(tool: str, processor: str, register: str, tmp_path: Path) -> None:
    if compilers.find().macros.find("#define __x86_64__ ") < 0:
        pytest.skip("this is about x86-64")
    cases = [("float32", "float32"), ("float64", "float32"), ("float64", "float64"), ("float32", "float16")]
    cases += [("float32", "bfloat16"), ("float64", "float16"), ("float64", "bfloat16")]
    made = [kernel(everything(work, seed), dtype, name=f"f{seed}") for seed, (work, dtype) in enumerate(cases)]
    path = tmp_path / "kernels.c"
    path.write_text("\n".join(each.source for each in made))
    flags = (*c.FLAGS, f"-march={processor}", "-mprefer-vector-width=512", "-S", "-o", "-")
    text = subprocess.run([tool, *flags, path], capture_output=True, text=True, check=True).stdout
    for each in made:
        start = next(  # a compiler may have put the loop into the only function that calls it
            found
            for name in (f"{each.identifier}_lanes", each.identifier)
            if (found := re.search(rf"^{name}:", text, re.MULTILINE))
        )
        body = text[start.end() : text.index(".cfi_endproc", start.end())]
        work = "ps" if each.work_format == F32 else "pd"
        assert re.search(rf"vfn?m\w*{work}\s.*%{register}", body), f"{each.identifier} is not vectorised"
        assert not re.search(r"\bcall\s", body), each.identifier


@pytest.mark.parametrize("name", ["silu", "gelu", "mish"])
def test_a_float32_program_holds_no_double(name: str) -> None:
    code = re.sub(r"//.*", "", str(generate(name, "c", "float32", accuracy="fast")))
    assert not re.search(r"\bdouble\b", code)
    assert not re.search(r"0x[0-9a-f.]+p[+-]\d+(?!f)\b", code), "a literal without f is a double"
    assert not re.search(r"\b(exp|log|sqrt|tanh|erfc?|fabs|fma|expm1|log1p)\(", code)


def test_precise_float32_is_computed_in_float64_unless_float32_rounds_as_well() -> None:
    assert generate("elu", "c", "float32").work_format == F64
    assert generate("relu", "c", "float32").work_format == F32
    assert generate("relu", "c", "float32", accuracy="fast").work_format == F32
    assert generate("relu", "c", "float16").work_format == F32
    assert generate("relu", "c", "float64", accuracy="fast").work_format == F64


def test_a_parameter_may_be_called_like_a_word_of_c() -> None:
    b = Builder(("x", "restrict", "expf"), F32)
    call = kernel(b.program(b("fma", "x", "restrict", b("neg", "expf")))).load()
    assert call(np.ones(3, np.float32), restrict=3.0, expf=1.0).tolist() == [2, 2, 2]


def test_the_exported_pair_stands_alone(tmp_path: Path) -> None:
    run = CliRunner()
    words = ["generate", "prelu", "--target", "c", "--accuracy", "fast", "-o", str(tmp_path / "prelu.c")]
    assert run.invoke(app, words).exit_code == 0
    again = run.invoke(app, words)
    assert again.exit_code == 2
    assert "exists" in again.stderr
    (tmp_path / "prelu.c").unlink()
    assert run.invoke(app, words).exit_code == 2, "the header stands there"
    assert not (tmp_path / "prelu.c").exists()
    assert run.invoke(app, [*words, "--force"]).exit_code == 0
    check = [*words[:-2], "--check", str(tmp_path / "prelu.c")]
    assert run.invoke(app, check).exit_code == 0
    header = (tmp_path / "prelu.h").read_text()
    (tmp_path / "prelu.h").write_text(header + " ")
    assert run.invoke(app, check).exit_code == 1
    (tmp_path / "prelu.h").write_text(header)
    assert run.invoke(app, [*words[:-1], str(tmp_path / "prelu.txt")]).exit_code == 2
    (tmp_path / "main.c").write_text(
        """
#include <stdio.h>
#include "prelu.h"
#include "prelu.h"

int main(void)
{
    float x[4] = {-2, -1, 0, 3};
    double every_other[8] = {0};
    const float alpha[4] = {1, 2, 3, 4};
    prelu_forward_float32_fast_strided(x, sizeof *x, alpha, sizeof *alpha, every_other, sizeof *every_other, 4);
    prelu_forward_float32_fast(x, 0.5f, x, 4);
    for (int k = 0; k < 4; ++k)
        printf("%g %g ", (double)x[k], (double)*(float *)&every_other[k]);
    return 0;
}
"""
    )
    program = tmp_path / "main"
    sources = [tmp_path / "main.c", tmp_path / "prelu.c"]
    strict = ("-std=c99", "-O2", "-fno-strict-aliasing", "-Wall", "-Wextra", "-Werror")
    subprocess.run([compilers.find().path, *strict, *sources, "-o", program, "-lm"], check=True)
    done = subprocess.run([program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["-1", "-2", "-0.5", "-2", "0", "0", "3", "3"]


def test_the_judge_is_satisfied() -> None:
    (batch,) = acceptance.batches([named("prelu")], targets=("c",), dtypes=("float16", "float32"))
    results = acceptance.run(batch)
    assert {result.accuracy for result in results} == {"precise", "fast"}
    for result in results:
        assert result.status == "passed", result.report


def test_kernels_loaded_together_keep_their_own_values() -> None:
    kernels = [generate("leaky_relu", "c", negative_slope=slope, arguments=()) for slope in ("1/2", "1/4", "1/2")]
    x = np.array([-4], np.float32)
    assert [fn(x).item() for fn in c.load_together(kernels)] == [-2, -1, -2]


def test_doctor_says_how_c_kernels_run() -> None:
    done = CliRunner().invoke(app, ["doctor"])
    assert re.search(r"c kernels: run here, compiled by \S+ \(.*\); \d+-bit vectors, ", done.stdout)
    assert "compiled kernels are kept in" in done.stdout
