"""From a definition to a verdict: our kernels pass, broken ones are named."""

import pickle
import warnings

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relusym_codegen import acceptance, generate, lowering

from relusym.activations import NAMES, named
from relusym.errors import InvalidActivation, InvalidRequest
from relusym.judge import check
from relusym.parsing import parse

QUICK = ("forward", "derivative")


@pytest.mark.parametrize("name", NAMES)
def test_the_catalogue_passes_in_bfloat16_at_all_inputs(name: str) -> None:
    (batch,) = acceptance.batches([named(name)], dtypes=("bfloat16",), computes=QUICK)
    for result in acceptance.run(batch):
        assert result.status == "passed", result.report
        assert result.exhaustive
        assert result.max_ulp is not None
        assert result.max_ulp <= 0.51


@pytest.fixture
def few_points(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few inputs of float32 and float64 as the judge tries at all: edges, landmarks and what is drawn stay."""
    monkeypatch.setattr(acceptance, "POINTS", 11_000)


def keep_their_bounds(name: str, dtypes: tuple[str, ...], computes: tuple[str, ...]) -> None:
    (batch,) = acceptance.batches([named(name)], dtypes=dtypes, computes=computes)
    for result in acceptance.run(batch):
        assert result.status == "passed", result.report


@pytest.mark.usefixtures("few_points")
@pytest.mark.parametrize(
    ("name", "dtypes", "computes"),
    [
        ("gelu", ("float32", "float64"), ("forward",)),
        ("elu", ("float32", "float64"), QUICK),
        ("tanhshrink", ("float32",), ("derivative",)),
        ("softplus", ("float64",), QUICK),
    ],
)
def test_float32_and_float64_keep_their_bounds(name: str, dtypes: tuple[str, ...], computes: tuple[str, ...]) -> None:
    keep_their_bounds(name, dtypes, computes)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elu", "gelu", "silu", "mish", "tanhshrink", "softplus", "squareplus"])
def test_float32_and_float64_keep_their_bounds_at_many_inputs(name: str) -> None:
    keep_their_bounds(name, ("float32", "float64"), QUICK)


FORMULAS = (
    "x*tanh(exp(x))",
    "x/sqrt(1+x**2)",
    "log(cosh(x))",
    "x*exp(-x**2)",
    "sign(x)*log(1+Abs(x))",
    "x/(1+abs(x))**2",
    "atan(x)",
    "max(0, min(1, x))*tanh(x)",
    "x - sin(x)",
    "sqrt(1+x**2)-1",
    "Piecewise((x**3, x<1), (log(x)+1, True))",
    "(exp(x)-exp(-x))/(exp(x)+exp(-x))",
)


@pytest.mark.usefixtures("few_points")
@pytest.mark.parametrize(
    ("dtype", "computes"),
    [
        ("float64", "forward"),
        ("float16", "derivative"),
        pytest.param("float64", "derivative", marks=pytest.mark.slow),
        pytest.param("float16", "forward", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_nobody_prepared_passes_like_the_catalogue(formula: str, dtype: str, computes: str) -> None:
    (batch,) = acceptance.batches([parse(formula)], dtypes=(dtype,), computes=(computes,))
    for result in acceptance.run(batch):
        assert result.status == "passed", result.report


pieces = st.sampled_from(["0", "x", "-x", "x/3", "2*x + 1", "x**2", "exp(x)", "exp(-x)", "tanh(x)", "x/(1+exp(-x))"])
points = st.integers(-24, 24).map(lambda count: f"{count}/8")


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.lists(pieces, min_size=2, max_size=4), st.lists(points, min_size=3, max_size=3, unique=True))
def test_random_piecewise_formulas_go_all_the_way(branches: list[str], edges: list[str]) -> None:
    edges = sorted(edges, key=lambda text: int(text.split("/")[0]))[: len(branches) - 1]
    arms = [f"({branch}, x < {edge})" for branch, edge in zip(branches, edges, strict=False)]
    text = f"Piecewise({', '.join(arms)}, ({branches[-1]}, True))"
    try:
        (batch,) = acceptance.batches([parse(text)], dtypes=("float16",), computes=QUICK)
        results = acceptance.run(batch)
    except InvalidActivation:
        return
    for result in results:
        assert result.status == "passed", f"{text}\n{result.report}"


def test_the_judge_names_a_kernel_broken_in_its_text() -> None:
    kernel = generate("elu", "numpy", "float32", accuracy="fast")
    broken = str(kernel).replace("np.expm1(", "np.exp(")
    assert broken != str(kernel)
    module: dict = {}
    exec(broken, module)
    report = check(module["forward"], "elu", dtype="float32", extra_points=kernel.thresholds)
    assert not report.passed
    assert "elu forward float32" in str(report)
    assert report.findings[0].input


def test_work_crosses_process_borders() -> None:
    (batch,) = acceptance.batches([parse("x*exp(-x**2)")], dtypes=("float16",), computes=("forward",))
    assert pickle.loads(pickle.dumps(batch)) == batch
    results = acceptance.run(batch)
    assert pickle.loads(pickle.dumps(results)) == results
    keys = {"activation", "target", "dtype", "work_format", "computes", "accuracy", "status", "reason", "max_ulp",
            "bound", "worst_input", "tested", "exhaustive"}  # fmt: skip
    assert keys <= results[0].to_json().keys()


def test_unknown_words_are_refused() -> None:
    for arguments in (
        {"targets": ("basic",)},
        {"dtypes": ("int8",)},
        {"computes": ("integral",)},
        {"accuracies": ("so",)},
    ):
        with pytest.raises(InvalidRequest):
            acceptance.batches([named("relu")], **arguments)


def test_generation_is_deterministic() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first = str(generate("softplus", computes="second-derivative"))
        lowering._lowered.cache_clear()
        lowering._drafted.cache_clear()
        assert str(generate("softplus", computes="second-derivative")) == first
