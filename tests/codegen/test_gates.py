"""Gates of the CUDA kernels: ours pass, and kernels broken on purpose are each named by the gate they are for."""

import functools
import re
from dataclasses import replace

import pytest
from relusym_codegen import acceptance, generate
from relusym_codegen.gates import memory, running, toolchain
from relusym_codegen.gates.machine_code import routines
from relusym_codegen.gates.measuring import Compiled, Region, machine_counts, measured, ptx_counts, regions_of
from relusym_codegen.gates.reports import page, summary
from relusym_codegen.gates.rules import GATES, STATEMENTS, Finding, slow_or_loose
from relusym_codegen.gates.uniformity import divergent_branches
from relusym_codegen.kernel import Kernel
from relusym_codegen.signatures import FUSED
from typer.testing import CliRunner

from relusym.activations import named
from relusym.cli import app
from relusym.errors import InvalidRequest

LACK = toolchain.missing()
needs_tools = pytest.mark.skipif(LACK is not None, reason=f"no GPU tools: {LACK}")


@functools.cache
def lack_of_sanitizers() -> str | None:
    return memory.missing()


@pytest.fixture
def sanitizers() -> None:
    if (lack := lack_of_sanitizers()) is not None:
        pytest.skip(lack)


@functools.cache
def kernel(name: str = "relu", dtype: str = "float32", computes: str = "forward") -> Kernel:
    return generate(name, "cuda", dtype, computes, "fast")


def spoilt(old: str, new: str, of: Kernel | None = None) -> Kernel:
    """A kernel with other text; `old` is a pattern, and must occur."""
    whole = of or kernel()
    text, count = re.subn(old, new, whole.source, count=1)
    assert count, f"the template has no {old} any more: break the kernel in another place"
    return replace(whole, source=text)


def gates_that_fail(broken: Kernel, architecture: str = "sm_90") -> set[str]:
    _, findings = running.examined([broken], (architecture,))
    return {finding.gate for finding in findings}


@needs_tools
@pytest.mark.parametrize("architecture", toolchain.ARCHITECTURES)
@pytest.mark.parametrize("dtype", acceptance.DTYPES)
def test_our_kernels_hold_every_gate(dtype: str, architecture: str) -> None:
    kernels = [kernel("elu", dtype), kernel("hardswish", dtype, "backward")]
    rows, findings = running.examined(kernels, (architecture,))
    assert not findings, "\n".join(map(str, findings))
    assert {row.subject.kernel for row in rows} == {made.identifier for made in kernels}
    assert all(row.found.per_element for row in rows if row.subject.vectorised)


@needs_tools
@pytest.mark.usefixtures("sanitizers")
def test_fused_kernels_hold_every_gate() -> None:
    kernels = [
        kernel("tanh" if computes == "backward-from-output" else "relu", computes=computes) for computes in FUSED
    ]
    kernels += [kernel("prelu", dtype, "backward-parameters") for dtype in ("float16", "float32")]
    for made in kernels:
        _, findings = running.examined([made], ("sm_90",))
        assert not findings, "\n".join(map(str, findings))
    assert memory.run(kernels, lengths=(0, 1, 5, 257, 4097)) == []


RESULT = r"\*y = ([^;]+);\n}"
"""The last line of the element function: what it computes of x."""

BROKEN = {
    "text": r"*y = (\1) / (x + 2.0f);\n}",
    "special": r"*y = __expf(\1);\n}",
    "doubles": r"*y = (float)((\1) * 1.1);\n}",
    "branches": r"if (x > 0.5f) *y = \1; else { float s = x;\n"
    r"#pragma unroll 1\nfor (int k = 0; k < 9; ++k) s = __fmaf_rn(s, s, x);\n*y = s; }\n}",
    "spills": r"float t[32];\n#pragma unroll 1\nfor (int k = 0; k < 32; ++k) t[k] = x * k;\n"
    r"*y = t[__float_as_int(\1) & 31];\n}",
    "calls": r"*y = __fdiv_rn(\1, x + 2.0f);\n}",
    "rounding": r'float z; asm("add.rz.f32 %0, %1, %2;" : "=f"(z) : "f"(x), "f"(\1)); *y = z;\n}',
    "compiles": r"*y = \1 of the road;\n}",
}


@needs_tools
@pytest.mark.parametrize("gate", BROKEN)
def test_a_kernel_broken_on_purpose_is_named_by_its_gate(gate: str) -> None:
    assert gate in gates_that_fail(spoilt(RESULT, BROKEN[gate]))


@needs_tools
def test_a_division_is_named_by_the_text_and_by_the_machine_code() -> None:
    assert {"text", "calls", "special"} <= gates_that_fail(spoilt(RESULT, BROKEN["text"]))


@needs_tools
@pytest.mark.parametrize(("flag", "other"), [("--fmad=false", "--fmad=true"), ("--ftz=false", "--ftz=true")])
def test_flags_that_change_arithmetic_are_named(flag: str, other: str) -> None:
    assert "flags" in gates_that_fail(spoilt(f'"{flag}"', f'"{other}"', kernel("silu")))


@needs_tools
def test_flushing_is_seen_in_what_the_compiler_wrote() -> None:
    assert "rounding" in gates_that_fail(spoilt('"--ftz=false"', '"--ftz=true"', kernel("silu")))


@needs_tools
def test_arithmetic_that_the_assembler_merged_would_be_seen() -> None:
    silu = kernel("silu")
    compiled = toolchain.compile_text(silu.device_source, toolchain.options_of(silu), "sm_90")
    subject = running.subjects_of(silu)[0]
    (gate,) = (gate for gate in GATES if gate.name == "contraction")

    def says(unit: Compiled) -> str | None:
        return gate.seen(subject, measured(unit, {subject.entry: 4})[subject.entry])

    assert says(compiled) is None
    assert says(replace(compiled, assembly=re.sub(r"(.* FMUL .*\n)", r"\1\1", compiled.assembly, count=1))) is None
    merged = says(replace(compiled, assembly=compiled.assembly.replace(" FMUL ", " FFMA ")))
    assert merged is not None
    assert re.match(r"fma: \d+ in PTX, \d+ in machine code; mul: \d+ in PTX, 0 in machine code", merged)


@needs_tools
def test_a_kernel_without_vectors_and_a_wordy_one_are_named() -> None:
    rows, _ = running.examined([kernel("silu")], ("sm_90",))
    main = next(row for row in rows if not row.subject.variant)
    scalar = next(row for row in rows if row.subject.variant == "any")
    (vectors,) = (gate for gate in GATES if gate.name == "vectors")
    (budget,) = (gate for gate in GATES if gate.name == "budget")
    assert vectors.seen(main.subject, main.found) is None
    assert "no store and no load" in str(vectors.seen(main.subject, scalar.found))
    assert "narrower" in str(vectors.seen(main.subject, replace(main.found, narrow=1)))
    assert budget.seen(replace(main.subject, operations=3), main.found) is None
    assert "budget 62" in str(budget.seen(replace(main.subject, operations=3), replace(main.found, per_element=62.5)))


def test_divisions_and_library_functions_are_found_in_text_and_not_in_comments() -> None:
    assert not slow_or_loose("// a / b\n/* sqrtf(x) */ const float y = __fmaf_rn(x, x, 1.0f); expose(x);")
    for bad in (
        "a / b",
        "a /= b",
        "sqrtf(x)",
        "__frsqrt_rn(x)",
        "__expf(x)",
        "tanh (x)",
        "__fdividef(a, b)",
        "erfcf(x)",
    ):
        assert slow_or_loose(f"const float y = {bad};"), bad


SKETCH = """
//--------------------- .text.sketch --------------------------
sketch:
        /*0000*/  LDC R9, c[0x0][0x218] ;
        /*0010*/  FSETP.NEU.AND P1, PT, R9, RZ, PT ;
        /*0020*/  @P0 EXIT ;
.L_x_1:
        /*0030*/  LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0040*/  FSETP.GT.AND P0, PT, R4, RZ, PT ;
        /*0050*/  GUARD BRA `(.L_x_2) ;
        /*0060*/  FMUL R4, R4, 3 ;
        /*0070*/  FADD R4, R4, -RZ ;
.L_x_2:
        /*0080*/  STG.E.128 desc[UR4][R2.64], R4 ;
        /*0090*/  @P2 CALL.REL.NOINC `(.L_x_3) ;
        /*00a0*/  BRA `(.L_x_1) ;
.L_x_3:
        /*00b0*/  EXIT ;
        /*00c0*/  BRA `(.L_x_3);
"""
"""A loop around a skip, in the words of a disassembler."""


def loop_of(text: str) -> Region:
    (routine,) = routines(text).values()
    outside, loop = regions_of(routine)
    assert outside.header is None
    assert not outside.divergences(divergent_branches(routine))
    return loop


def partings(text: str) -> int:
    loop = loop_of(text)
    return loop.divergences(divergent_branches(loop.routine))


@pytest.mark.parametrize(("guard", "parts"), [("@P0", 1), ("@!P1", 0), ("@UP0", 0), ("@P3", 1)])
def test_a_branch_on_data_parts_a_warp_and_one_on_a_parameter_does_not(guard: str, parts: int) -> None:
    assert partings(SKETCH.replace("GUARD", guard)) == parts


@pytest.mark.parametrize(("mask", "parts"), [("0x1", 0), ("0x7d", 0), ("0x3", 1), ("R7", 1)])
def test_bits_of_data_become_those_predicates_alone_that_the_mask_names(mask: str, parts: int) -> None:
    assert partings(SKETCH.replace("GUARD", f"R2P PR, R4, {mask} ;\n        /*0058*/  @!P1")) == parts


def test_a_bounds_check_is_no_branch_in_the_arithmetic() -> None:
    beyond = SKETCH.replace("GUARD BRA `(.L_x_2)", "@P0 BRA `(.L_x_4)").replace(
        "        /*0090*/", ".L_x_4:\n /*0090*/"
    )
    assert partings(beyond) == 0


def test_the_longest_way_through_a_loop_is_counted() -> None:
    opcodes = [instruction.opcode for instruction in loop_of(SKETCH.replace("GUARD", "@P0")).longest]
    assert opcodes[0] == "LDG.E.128"
    assert opcodes[-3:] == ["STG.E.128", "CALL.REL.NOINC", "BRA"]
    assert len(opcodes) == 8


def test_additions_of_zero_are_counted_on_neither_side() -> None:
    (routine,) = routines(SKETCH.replace("GUARD", "@P0")).values()
    assert machine_counts(tuple(routine.instructions)) == (0, 1, 0)
    ptx = "\tmul.rn.f32 %f2, %f1, %f1;\n\tadd.rn.f32 %f3, %f2, 0f80000000;\n\t@%p1 sub.rn.f64 %d2, %d1, %d1;\n"
    assert ptx_counts(ptx) == (0, 1, 1)


MEMORY_BREAKS = {
    "past the end": (r"last < n\)", "last <= n)", "heap-buffer-overflow"),
    "a forgotten tail": (r"last < n\)", "last + 1 < n)", "never writes to y"),
    "written twice": (r"blockIdx.x == 0 && last < n", "last < n", "writes twice to y"),
    "a tile too far": (r"packs - begin >= tile", "packs - begin + 1 >= tile", "heap-buffer-overflow"),
    "tiles that overlap": (r"gridDim.x \* tile\)", "gridDim.x * tile - 1)", "writes twice to y"),
    "before the beginning": (r"= x\[last\]|\(x\[last\]", "(x[last - n - 1]", "reads outside of x|heap-buffer-overflow"),
    "undefined arithmetic": (RESULT, r"*y = (float)(int)(\1);\n}", "outside the range of representable values"),
}


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize("how", MEMORY_BREAKS)
def test_a_kernel_that_misuses_memory_is_named(how: str) -> None:
    old, new, says = MEMORY_BREAKS[how]
    whole, broken = kernel("identity"), spoilt(old, new)
    (finding,) = memory.run([broken, whole], lengths=(0, 1, 5, 64, 2049))
    assert (finding.gate, finding.subject) == ("memory", broken.identifier)
    assert re.search(says, finding.says), finding


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize("wide", [16, 32])
def test_our_kernels_write_each_byte_once_and_no_other(wide: int) -> None:
    quantities = ("forward", "backward", "forward-derivative", "derivative")
    kernels = [kernel("relu", dtype, computes) for dtype, computes in zip(acceptance.DTYPES, quantities, strict=True)]
    assert memory.run(kernels, lengths=(*range(18), 255, 256, 257, 4097), wide=wide) == []


def test_the_cases_cover_whole_tiles_every_layout_and_several_grids() -> None:
    found = list(memory.cases(kernel("relu", "float16"), (0, 1, 100), 16))
    says = " ".join(case.says for case in found)
    for word in ("aligned", "all one element off", "one array off", "in place", "strided", "one block", "to spare"):
        assert word in says, word
    blocks = [count for case in found for _, count, _ in case.launches]
    assert max(blocks) > 2
    entries = {
        name.removeprefix(kernel("relu", "float16").identifier) for case in found for name, _, _ in case.launches
    }
    assert entries == {"", "_inplace", "_any", "_strided"}


@needs_tools
def test_the_report_and_the_page_name_every_gate_and_every_finding() -> None:
    rows, findings = running.examined([kernel("silu"), kernel("relu")], ("sm_90",))
    broken = [*findings, Finding("spills", "relu_x", "sm_90", "8 bytes")]
    outcome = running.Outcome("silu", ("a", "b"), tuple(rows), tuple(broken))
    text = "\n".join(summary([outcome]))
    written = page([outcome], command="the command", versions={"nvrtc": "1"})
    for gate in STATEMENTS:
        assert gate in text
        assert f"`{gate}`" in written
    assert "FAILS 1x" in text
    assert "1 gates do not hold" in text
    assert "relu_x (sm_90): spills: 8 bytes" in text
    assert "relu_x (sm_90): spills: 8 bytes" in written
    assert "| silu | float32 |" in written


run = CliRunner().invoke


@needs_tools
@pytest.mark.usefixtures("sanitizers")
def test_doctor_checks_kernels_and_says_so() -> None:
    words = ["doctor", "--gpu-check", "relu", "--architecture", "sm_90", "--dtype", "float16", "--computes", "forward"]
    done = run(app, words)
    assert done.exit_code == 0, done.output
    assert done.stdout.endswith("all gates hold\n")


def test_a_gate_that_does_not_hold_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(unit: running.Unit) -> running.Outcome:
        return running.Outcome("relu", ("relu",), (), (Finding("calls", "relu", "sm_90", "calls exp"),))

    monkeypatch.setattr(running, "missing", lambda: None)
    monkeypatch.setattr(running, "run", broken)
    done = run(app, ["doctor", "--gpu-check", "relu", "--jobs", "1"])
    assert done.exit_code == 1
    assert "relu (sm_90): calls: calls exp" in done.stdout


def test_without_the_tools_doctor_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "versions", dict)
    done = run(app, ["doctor", "--gpu-check", "relu"])
    assert done.exit_code == 3
    assert "nvidia-cuda-nvdisasm" in done.stderr
    assert "pip install 'relusym[gpu-check]'" in done.stderr
    assert "pip install 'relusym[gpu-check]'" in run(app, ["doctor"]).stdout


@pytest.mark.parametrize(
    "words", [["relu"], ["--dtype", "float16"], ["--gpu-check", "--architecture", "H200"], ["--gpu-check", "reluu"]]
)
def test_doctor_refuses_what_means_nothing(words: list[str]) -> None:
    done = run(app, ["doctor", *words])
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("relusym: ")


def test_a_kernel_says_how_it_is_compiled() -> None:
    assert set(toolchain.options_of(kernel())) >= {"--fmad=false", "--ftz=false"}
    with pytest.raises(InvalidRequest, match="OPTIONS"):
        toolchain.options_of(replace(kernel(), source="NAME = 'x'"))


def test_the_entry_functions_of_an_activation_have_names_of_their_own() -> None:
    (batch,) = acceptance.batches([named("relu")], targets=("cuda",))
    entries = [subject.entry for made in acceptance.kernels(batch) for subject in running.subjects_of(made)]
    assert len(set(entries)) == len(entries) > len(acceptance.DTYPES)
