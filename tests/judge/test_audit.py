"""The audit: its data, its runner on functions broken on purpose, its reports, and what it finds in frameworks."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from relusym.audit import FRAMEWORKS, Audit, Defect, Entry, Framework, Kink, Row, audit, audit_from_json
from relusym.audit.curves import COLUMNS, REACH, Curve, column_of, columns
from relusym.audit.documents import markdown
from relusym.audit.entries import framework_named
from relusym.audit.pages import page
from relusym.audit.results import by_severity
from relusym.audit.running import Unit, run
from relusym.cli import app
from relusym.errors import InvalidRequest, Missing
from relusym.judge.adapters import adapter_named
from relusym.judge.diagnosis import CLASSES

BROKEN = '''
import numpy as np

def tanh(x):
    return np.tanh(x)

def sigmoid(x):
    """Zero below -10, and NaN at -inf."""
    right = 1 / (1 + np.exp(-np.maximum(x, -80)))
    return np.where(np.isneginf(x), np.nan, np.where(x < -10, 0, right)).astype(x.dtype)

def in_company(x):
    """Three times tanh for arrays of 16 elements or more."""
    return np.tanh(x) * (3 if x.size >= 16 else 1)

def narrow(x):
    if x.dtype != np.float32:
        raise TypeError(f"narrow is not implemented for {x.dtype}")
    return np.maximum(x, 0)
'''


@pytest.fixture
def invented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Framework:
    """A framework of four functions, three of which have something to be found."""
    (tmp_path / "broken_on_purpose.py").write_text(BROKEN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_on_purpose", raising=False)
    entries = (
        Entry("broken_on_purpose:tanh", activation="tanh"),
        Entry("broken_on_purpose:sigmoid", activation="sigmoid", note="made for this test"),
        Entry("broken_on_purpose:in_company", activation="tanh"),
        Entry("broken_on_purpose:narrow", formula="max(x, 0)"),
        Entry("broken_on_purpose:absent", activation="relu"),
    )
    return Framework("numpy", entries, imports="import numpy as np, broken_on_purpose")


def judged(framework: Framework, names: Sequence[str] = ()) -> Audit:
    return audit(framework, names, dtypes=["float32"], quick=True, jobs=1)


# What the data files say.


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_entry_names_an_activation_and_values_of_its_parameters(name: str) -> None:
    framework = framework_named(name)
    assert framework.entries
    for entry in framework.entries:
        assert bool(entry.activation) != bool(entry.formula), entry.title
        entry.definition()  # raises for a name, formula or parameter that makes no sense


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_no_function_is_listed_twice(name: str) -> None:
    titles = [entry.title for entry in framework_named(name).entries]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_every_framework_has_an_adapter_of_the_judge(name: str) -> None:
    assert adapter_named(name).packages


def test_a_function_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InvalidRequest, match=r"no function 'sinh'.*tanh"):
        audit(framework_named("numpy"), ["sinh"])


@pytest.mark.parametrize("words", [{"dtypes": ["int8"]}, {"computes": ["third-derivative"]}])
def test_words_that_nobody_knows_are_refused(words: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="known"):
        audit(framework_named("numpy"), **words)


def test_derivatives_of_a_framework_without_autograd_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="no autograd"):
        audit(framework_named("numpy"), computes=["derivative"])


# What the runner finds.


def test_broken_functions_are_found_and_a_right_one_is_not_accused(invented: Framework) -> None:
    found = {row.target.partition(":")[2]: row for row in judged(invented).rows}
    assert found["tanh"].status == "passed"
    assert found["sigmoid"].status == "failed"
    assert set(found["sigmoid"].classes) >= {"lost-tail", "wrong-limit"}
    assert "layout" in found["in_company"].classes
    assert found["narrow"].status == "passed"
    assert (found["absent"].status, found["absent"].findings) == ("not supported", ())
    assert "absent does not exist" in found["absent"].reason


def test_a_dtype_without_a_kernel_is_not_supported_and_no_defect(invented: Framework) -> None:
    (row,) = audit(invented, ["narrow"], dtypes=["float64"], quick=True, jobs=1).rows
    assert (row.status, row.findings) == ("not supported", ())
    assert "not implemented for float64" in row.reason


def test_an_exception_for_any_other_reason_is_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raises_always.py").write_text("def relu(x):\n    return x[None][3]\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    framework = Framework("numpy", (Entry("raises_always:relu", activation="relu"),))
    (row,) = judged(framework).rows
    assert (row.status, row.classes) == ("failed", ("interface",))


def test_a_reproducer_is_three_lines_that_show_the_wrong_value(invented: Framework, tmp_path: Path) -> None:
    shown = 0
    for row in judged(invented, ["sigmoid", "in_company"]).rows:
        for defect in row.findings:
            assert len(defect.reproducer) == 3, defect
            printed = subprocess.run(
                [sys.executable, "-c", "\n".join(defect.reproducer)],
                capture_output=True,
                text=True,
                check=True,
                cwd=tmp_path,
                timeout=60,
            ).stdout
            assert repr(float.fromhex(defect.got)) in printed
            shown += 1
    assert shown >= 3


def test_the_curve_shows_where_the_errors_are(invented: Framework) -> None:
    (row,) = judged(invented, ["sigmoid"]).rows
    errors, broken = columns(row.curve)
    assert len(errors) == len(broken) == COLUMNS
    tail, middle = column_of(np.array([-20.0, 0.5]))
    assert broken[tail]
    assert errors[tail] > 1000
    assert not broken[middle]
    assert errors[middle] < 4


def test_every_column_is_met_by_the_points_of_every_dtype() -> None:
    for dtype in ("float32", "float64"):
        (row,) = audit(framework_named("numpy"), ["absolute"], dtypes=[dtype], quick=True, jobs=1).rows
        assert "-" not in row.curve.split()


def test_columns_rise_with_x() -> None:
    x = np.concatenate([-np.logspace(3.3, -6, 99), [0.0], np.logspace(-6, 3.3, 99)])
    places = column_of(x)
    assert np.all(np.diff(places) >= 0)
    assert (places[0], places[-1]) == (0, COLUMNS - 1)
    assert list(column_of(np.array([-REACH, REACH]))) == [1, COLUMNS - 2]


def test_a_curve_is_read_back_from_its_text_with_two_digits() -> None:
    curve = Curve(
        (0.0, 0.512, 12345.0, float("inf"), float("nan")), (False, False, True, True, False), 1.0, "0x0p+0", 1.0
    )
    assert curve.text() == "0 0.51 1.2e4! inf! -"
    errors, broken = columns(curve.text())
    assert errors[:4] == (0.0, 0.51, 1.2e4, float("inf"))
    assert np.isnan(errors[4])
    assert broken == curve.broken


# What the reports say, of results invented here.

DEFECT = Defect(
    kind="accuracy",
    defect="lost-tail",
    where="x from -9 to -5",
    input="-0x1p+3",
    got="0x0p+0",
    expected="-0x1.6p-12",
    ulps=1e6,
    count=1234,
    message="too inaccurate",
    reproducer=("import numpy as np", "x = np.array([-8.0])", "print(np.tanh(x))"),
)
CURVE = " ".join(["0.5"] * 90 + ["1e5!"] * 10 + ["inf!"] * 2 + ["0.7"] * 97 + ["-"])
NAME = "some.module.gelu<script>alert('x')</script>"


def row(status: str, **others: Any) -> Row:
    words: dict[str, Any] = {
        "function": "some.module.tanh",
        "target": "some.module:tanh",
        "activation": "tanh",
        "definition": "tanh(x)",
        "parameters": {},
        "dtype": "float32",
        "computes": "forward",
        "status": status,
        "curve": CURVE,
        "bound": "4 + 4 kappa",
        "scaled": 0.7,
    }
    return Row(**{**words, **others})


INVENTED = Audit(
    framework="invented & Co",
    versions={"python": "3", "invented": "1.0<2"},
    rows=(
        row("passed"),
        row("passed", dtype="float16", exhaustive=True),
        row("failed", function=NAME, findings=(DEFECT,), scaled=1e5, max_ulp=float("inf")),
        row("not supported", function=NAME, dtype="float16", curve="", reason="not implemented for Half"),
        row(
            "passed", computes="derivative", bound="8 + 8 kappa", kinks=(Kink("0", "0x1p+0", "0x0p+0", "0x1p+0", True),)
        ),
    ),
    notes={NAME: "its own <definition>"},
)


class Outline(HTMLParser):
    """Counts of tags, and that all are closed in the order in which they are opened."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_with_a_figure_for_each_row() -> None:
    outline = Outline()
    outline.feed(page(INVENTED))
    assert outline.open == []
    assert outline.counts["figure"] == len(INVENTED.rows)
    assert outline.counts["svg"] == sum(bool(row.curve) for row in INVENTED.rows)


def test_the_page_fetches_nothing_and_runs_nothing_and_escapes_what_it_shows() -> None:
    text = page(INVENTED)
    assert "<script" not in text
    assert "http" not in text
    assert "src=" not in text
    for escaped in ("gelu&lt;script&gt;", "its own &lt;definition&gt;", "invented &amp; Co", "1.0&lt;2"):
        assert escaped in text


def test_the_page_shows_defects_in_another_colour_and_the_worst_function_first() -> None:
    text = page(INVENTED)
    assert text.index("gelu&lt;script") < text.index("some.module.tanh")
    assert by_severity(INVENTED.rows) == [NAME, "some.module.tanh"]
    assert 'class="bad" d="M90' in text
    assert 'class="infinite" d="M100' in text


def test_markdown_has_a_table_for_each_quantity_and_tells_each_defect() -> None:
    text = markdown(INVENTED)
    assert f"| `{NAME}` | – | 1e5 **lost-tail** |" in text or f"| `{NAME}` | 1e5 **lost-tail** | – |" in text
    assert "## Derivative" in text
    assert "x from -9 to -5 (1,234 inputs)" in text
    assert "x = -0x1p+3 (-8): 0, not -0x1.6p-12 (-0.0003357)" in text
    assert "\n".join(DEFECT.reproducer) in text
    assert "| `some.module.tanh` | 0 | 1 | [0, 1] | inside | float32 |" in text
    assert "forward in float16" in text.partition("## Not supported")[2]


def test_json_gives_the_same_audit_back() -> None:
    text = json.dumps(INVENTED.to_json(), allow_nan=False)
    assert audit_from_json(json.loads(text)) == INVENTED


def test_json_of_another_schema_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="schema 1"):
        audit_from_json({**INVENTED.to_json(), "schema": 2})


def test_every_class_of_the_judge_has_a_severity() -> None:
    ranks = {name: replace(DEFECT, defect=name).severity for name in CLASSES}
    assert len(set(ranks.values())) == len(CLASSES)


# The command.


def test_the_command_writes_its_reports_and_never_over_a_file(tmp_path: Path) -> None:
    runner, base = CliRunner(), ["audit", "numpy", "tanh", "--quick", "--dtype", "float32", "--jobs", "1"]
    files = [tmp_path / name for name in ("a.json", "a.md", "a.html")]
    options = [word for pair in zip(("--json", "--markdown", "--html"), map(str, files), strict=True) for word in pair]
    result = runner.invoke(app, [*base, *options])
    assert result.exit_code == 0, result.output
    assert "1 combinations of function, dtype and quantity: 1 passed" in result.output
    assert audit_from_json(json.loads(files[0].read_text(encoding="utf-8"))).framework == "numpy"
    assert "numpy.tanh" in files[1].read_text(encoding="utf-8")
    assert "</html>" in files[2].read_text(encoding="utf-8")
    again = runner.invoke(app, [*base, *options])
    assert again.exit_code == 2
    assert "--force" in again.output


KNOWN = """
[[defect]]
callable = "broken_on_purpose:{name}"
activation = "{activation}"
dtype = "float32"
kind = "{kind}"
link = "https://example.org/issues/1"
"""


@pytest.mark.parametrize(
    ("name", "activation", "kinds", "code", "told"),
    [
        ("sigmoid", "sigmoid", ["accuracy", "limit"], 0, "1 known"),
        ("sigmoid", "sigmoid", ["accuracy"], 1, "wrong-limit"),
        ("tanh", "tanh", ["accuracy"], 1, "not found any more"),
    ],
)
def test_known_defects_are_expected_while_they_are_there(
    invented: Framework,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    activation: str,
    kinds: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.setattr("relusym.audit.framework_named", lambda framework: invented)
    known = tmp_path / "known.toml"
    tables = (KNOWN.format(name=name, activation=activation, kind=kind) for kind in kinds)
    known.write_text("".join(tables), encoding="utf-8")
    words = ["audit", "numpy", f"broken_on_purpose:{name}", "--dtype", "float32", "--quick", "--jobs", "1"]
    result = CliRunner().invoke(app, [*words, "--known", str(known)])
    assert result.exit_code == code, result.output
    assert told in result.output


@pytest.mark.parametrize(
    ("entry", "words", "code"),
    [
        ({"name": "tahn", "activation": "tanh", "kind": "limit"}, [], 1),
        ({"name": "tanh", "activation": "sigmoid", "kind": "limit"}, ["tanh"], 1),
        ({"name": "sigmoid", "activation": "sigmoid", "kind": "limit"}, ["tanh"], 0),
    ],
)
def test_an_entry_that_the_audit_should_have_met_and_did_not_ends_with_1_and_its_link(
    invented: Framework,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    entry: dict[str, str],
    words: list[str],
    code: int,
) -> None:
    (tanh,) = (one for one in invented.entries if one.short == "tanh")
    (sigmoid,) = (one for one in invented.entries if one.short == "sigmoid")
    asked = replace(invented, entries=(tanh, sigmoid) if words else (tanh,))
    monkeypatch.setattr("relusym.audit.framework_named", lambda framework: asked)
    known, sarif = tmp_path / "known.toml", tmp_path / "a.sarif"
    known.write_text(KNOWN.format(**entry) + KNOWN.format(**entry).replace("float32", "float64"), encoding="utf-8")
    options = ["--dtype", "float32", "--quick", "--jobs", "1", "--known", str(known), "--sarif", str(sarif)]
    result = CliRunner().invoke(app, ["audit", "numpy", *words, *options])
    assert result.exit_code == code, result.output
    lines = [line for line in result.output.splitlines() if line.startswith("no kernel that was judged is that of")]
    assert len(lines) == code
    assert all(line.endswith("https://example.org/issues/1") for line in lines)
    alerts = json.loads(sarif.read_text(encoding="utf-8"))["runs"][0]["results"]
    assert [alert["message"]["text"] for alert in alerts] == lines


def test_an_audit_in_which_nothing_was_judged_is_no_success(
    invented: Framework, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relusym.audit.framework_named", lambda framework: invented)
    words = ["audit", "numpy", "narrow", "--dtype", "float64", "--quick", "--jobs", "1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 3
    assert "1 not supported" in result.stdout
    assert "nothing was judged: numpy has none of these kernels (" in result.stderr


@pytest.mark.parametrize("words", [["nothing"], ["numpy", "sinh"], ["numpy", "--dtype", "int8"]])
def test_the_command_refuses_what_nobody_knows(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["audit", *words]).exit_code == 2


def test_a_framework_that_is_not_installed_is_missing_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(Missing, match=r"relusym\[tensorflow\]"):
        audit(framework_named("tensorflow"), ["relu"])
    assert CliRunner().invoke(app, ["audit", "tensorflow", "relu"]).exit_code == 3


# What is found in frameworks: facts of their present versions, of which the judge has no list.

TORCH = [
    ("gelu", "float32", "forward", {"lost-tail", "wrong-limit", "layout"}),
    ("gelu", "bfloat16", "forward", {"wrong-limit"}),
    ("silu", "float32", "forward", {"wrong-limit"}),
    ("sigmoid", "float32", "derivative", {"lost-tail"}),
    ("tanh", "float32", "derivative", {"lost-tail"}),
    ("softplus", "float64", "forward", {"cut-off"}),
]
ONNX = [
    ("Elu", "float32", {"cancellation"}),
    ("Selu", "float32", {"cancellation"}),
    ("Sigmoid", "float32", {"lost-tail"}),
    ("Gelu", "float16", {"wrong-limit"}),
]
JAX = [
    ("elu", "float32", "derivative", {"lost-tail"}),
    ("silu", "float16", "forward", {"lost-tail"}),
]


def the_row(framework: str, name: str, dtype: str, computes: str = "forward", *, quick: bool = True) -> Row:
    known = framework_named(framework)
    return run(Unit(known, known.selected([name])[0], dtype, computes, quick=quick))


@pytest.mark.parametrize(("name", "dtype", "computes", "classes"), TORCH)
def test_defects_of_pytorch_are_found(name: str, dtype: str, computes: str, classes: set[str]) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert set(the_row("torch", name, dtype, computes).classes) >= classes


@pytest.mark.parametrize("computes", ["forward", "derivative"])
@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu"])
def test_right_kernels_of_pytorch_are_not_accused(name: str, computes: str) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    assert the_row("torch", name, "float32", computes).status == "passed"


def test_kernels_of_pytorch_can_be_shown_by_their_reproducers() -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    defects = [
        one for name in ("forward", "second-derivative") for one in the_row("torch", "gelu", "float32", name).findings
    ]
    program = "\n".join(line for defect in defects for line in defect.reproducer)
    run_it = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=100)
    printed = run_it.stdout.splitlines()
    assert len(printed) == len(defects)
    for line, defect in zip(printed, defects, strict=True):
        assert repr(float.fromhex(defect.got)) in line


@pytest.mark.parametrize(("name", "dtype", "computes", "classes"), JAX)
def test_defects_of_jax_are_found(name: str, dtype: str, computes: str, classes: set[str]) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    assert set(the_row("jax", name, dtype, computes).classes) >= classes


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("leaky_relu", {"0": 1.0}),
        ("hard_tanh", {"-1": 1.0, "1": 1.0}),
        ("abs", {"0": 1.0}),
        ("clip", {"0": 0.5, "6": 0.5}),
    ],
)
def test_values_of_jax_at_kinks_are_told_and_no_defects(name: str, values: dict[str, float]) -> None:
    pytest.importorskip("jax", reason="JAX is not installed")
    found = the_row("jax", name, "float32", "derivative")
    assert {kink.at: float.fromhex(kink.got) for kink in found.kinks} == values
    assert found.status == "passed"
    assert not all(kink.least_norm for kink in found.kinks)


@pytest.mark.parametrize(("name", "dtype", "classes"), ONNX)
def test_defects_of_onnx_runtime_are_found(name: str, dtype: str, classes: set[str]) -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    assert set(the_row("onnxruntime", name, dtype).classes) >= classes


def test_the_wrong_sign_of_onnx_runtime_is_found() -> None:
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    known = framework_named("onnxruntime")
    (entry,) = (one for one in known.entries if one.function == "Gelu" and one.keywords)
    assert "wrong-sign" in run(Unit(known, entry, "float32", "forward")).classes
