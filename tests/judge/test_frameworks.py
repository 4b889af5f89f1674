"""Functions of frameworks, called with their own arrays and differentiated by their own autograd."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from relusym.errors import InvalidRequest, Missing
from relusym.floats import FORMATS, all_values
from relusym.judge import check
from relusym.judge.adapters import NAMES, adapted, adapter_named, adapter_of
from relusym.judge.reports import hex_of
from relusym.parsing import parse

POINTS = 20_000


def kinds(report: Any) -> set[str]:
    return {finding.kind for finding in report.findings}


def defects(report: Any) -> set[str]:
    return {finding.defect for finding in report.findings}


@pytest.mark.parametrize("name", NAMES)
def test_an_adapter_is_loaded_without_its_framework(name: str) -> None:
    adapter = adapter_named(name)
    assert adapter.name == name
    assert adapter.lengths[:2] == (0, 1)


class Reticent:
    """Right, and answers every question with an error of its own."""

    def __call__(self, x: Any) -> Any:
        return np.maximum(x, 0)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(f"nobody asks me for {name}")


def test_an_object_that_does_not_like_to_be_asked_is_judged_by_what_it_returns() -> None:
    assert adapter_of(Reticent()).name == "numpy"
    assert check(Reticent(), "relu", dtype="float16").passed


def test_unknown_frameworks_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match=r"theano.*known: numpy, torch"):
        check(np.tanh, "tanh", dtype="float16", through="theano")


def test_a_framework_that_is_not_installed_is_missing_with_the_extra_that_brings_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    with pytest.raises(Missing, match=r"relusym\[cuda13\]"):
        check(np.tanh, "tanh", dtype="float16", through="cupy")


def test_numpy_has_no_autograd() -> None:
    with pytest.raises(InvalidRequest, match="numpy has no autograd"):
        check(np.tanh, "tanh", dtype="float16", computes="derivative", through="numpy")


def test_text_needs_the_framework_that_reads_it() -> None:
    with pytest.raises(InvalidRequest, match="through="):
        check("Gelu", "gelu", dtype="float16")


def test_dlpack_takes_what_any_library_returns() -> None:
    class Packed:
        """An array of a library nobody knows."""

        def __init__(self, values: Any) -> None:
            self.values = np.asarray(values)

        def __dlpack__(self, **words: Any) -> Any:
            return self.values.__dlpack__(**words)

        def __dlpack_device__(self) -> Any:
            return self.values.__dlpack_device__()

    report = check(lambda x: Packed(np.tanh(x)), "tanh", dtype="float32", through="dlpack", points=POINTS)
    assert report.passed, str(report)
    assert report.framework == "dlpack"
    assert not check(lambda x: Packed(np.sin(x)), "tanh", dtype="float32", through="dlpack", points=POINTS).passed


class TestPyTorch:
    @pytest.fixture
    def torch(self) -> Any:
        return pytest.importorskip("torch", reason="PyTorch is not installed")

    def test_its_functions_modules_and_methods_are_recognised(self, torch: Any) -> None:
        functional = torch.nn.functional
        for fn in (functional.gelu, functional.elu, torch.tanh, torch.Tensor.tanh, torch.nn.GELU(), torch.sigmoid):
            assert adapter_of(fn).name == "torch"
            assert adapter_of(functools.partial(fn)).name == "torch"
        assert adapter_of(np.tanh).name == "numpy"
        assert adapter_of(lambda x: torch.tanh(torch.from_numpy(x)).numpy()).name == "numpy"

    @pytest.mark.parametrize("dtype", list(FORMATS))
    def test_tensors_share_bits_with_arrays_both_ways(self, torch: Any, dtype: str) -> None:
        form = FORMATS[dtype]
        x = all_values(form)[::7].copy() if form.bits == 16 else np.linspace(-9, 9, 90).astype(form.dtype)
        there_and_back = adapted(lambda t: t.clone(), through="torch").fn
        for laid in (x, x[::2], x[: x.size // 6 * 6].reshape(-1, 6).T, x[:1].reshape(()), x[:0]):
            assert there_and_back(laid).tobytes() == laid.tobytes()
            assert there_and_back(laid).dtype == form.dtype
        strides = adapted(lambda t: torch.full(t.shape, t.stride(0), dtype=t.dtype), through="torch").fn
        assert strides(x[::2])[0] == 2

    @pytest.mark.parametrize("name", ["relu", "elu", "leaky_relu"])
    @pytest.mark.parametrize("computes", ["forward", "derivative", "second-derivative", "backward"])
    def test_its_correct_functions_are_not_accused(self, torch: Any, name: str, computes: str) -> None:
        fn = getattr(torch.nn.functional, name)
        report = check(fn, name, dtype="float32", computes=computes, through="torch", points=POINTS)
        assert report.passed, str(report)
        assert report.framework == "torch"
        assert "torch" in report.versions

    def test_a_zero_without_memory_is_a_zero(self, torch: Any) -> None:
        words = {"dtype": "float16", "computes": "second-derivative", "through": "torch"}
        assert check(torch.abs, parse("abs(x)"), **words).passed

    def test_gradients_are_taken_whatever_the_caller_has_switched_off(self, torch: Any) -> None:
        words = {"dtype": "float16", "computes": "derivative", "through": "torch"}
        with torch.no_grad():
            assert check(torch.relu, "relu", **words).passed
        with torch.inference_mode():
            assert check(torch.relu, "relu", **words).passed

    def test_a_thread_that_flushes_is_no_judge_of_subnormals(self, torch: Any) -> None:
        if not torch.set_flush_denormal(True):
            pytest.skip("this processor has no such mode")
        try:
            with pytest.raises(InvalidRequest, match="set_flush_denormal"):
                check(np.tanh, "tanh", dtype="float32")
        finally:
            torch.set_flush_denormal(False)

    def test_a_backward_that_is_wrong_for_expanded_gradients_is_found(self, torch: Any) -> None:
        class Doubling(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, x: Any) -> Any:
                ctx.save_for_backward(x)
                return torch.relu(x)

            @staticmethod
            def backward(ctx: Any, grad: Any) -> Any:
                (x,) = ctx.saved_tensors
                return torch.where(x > 0, grad, grad * 0) * (2 if 0 in grad.stride() and grad.numel() > 1 else 1)

        report = check(Doubling.apply, "relu", dtype="float32", computes="backward", through="torch", points=POINTS)
        assert kinds(report) == {"layout"}

    def test_gelu_loses_its_tail_and_its_limits_and_depends_on_the_layout(self, torch: Any) -> None:
        report = check(torch.nn.functional.gelu, "gelu", dtype="float32", points=POINTS)
        assert {"lost-tail", "wrong-limit", "layout"} <= defects(report)
        (tail,) = (finding for finding in report.findings if finding.defect == "lost-tail")
        assert tail.where.endswith("to -5.52068") or float(tail.where.split()[-1]) == pytest.approx(-5.5, abs=0.1)

    def test_silu_has_no_limit(self, torch: Any) -> None:
        report = check(torch.nn.functional.silu, "silu", dtype="float16")
        assert "wrong-limit" in defects(report)

    @pytest.mark.parametrize("name", ["sigmoid", "tanh"])
    def test_derivatives_computed_from_the_rounded_output_are_found(self, torch: Any, name: str) -> None:
        fn = getattr(torch, name)
        report = check(fn, name, dtype="float32", computes="derivative", through="torch", points=POINTS)
        assert defects(report) == {"lost-tail"}

    def test_the_cut_off_of_softplus_is_reported_as_its_own(self, torch: Any) -> None:
        report = check(torch.nn.functional.softplus, "softplus", dtype="float64", points=POINTS)
        (finding,) = report.findings
        assert finding.defect == "cut-off"
        assert finding.where.startswith("x from 20.0")

    def test_parameter_gradients_are_taken_by_a_tensor_of_the_parameter(self, torch: Any) -> None:
        def leaky(x: Any, alpha: Any = 0.25) -> Any:
            return torch.where(x > 0, x, alpha * x)

        words = {"dtype": "float32", "computes": "parameter-gradient:alpha", "through": "torch", "points": POINTS}
        assert check(leaky, "prelu", **words).passed
        twice = check(lambda x, alpha: torch.where(x > 0, x, alpha**2 * x), "prelu", **words)
        assert not twice.passed

    def test_a_broken_in_place_variant_is_found(self, torch: Any) -> None:
        def elu(x: Any, inplace: bool = False) -> Any:
            if not inplace:
                return torch.nn.functional.elu(x)
            return x.copy_(torch.where(x > 0, x, x * 0))

        report = check(elu, "elu", dtype="float32", through="torch", points=POINTS)
        assert kinds(report) == {"layout"}
        assert "written in place" in report.findings[0].message

    def test_a_function_of_a_user_is_told_that_it_got_numpy_arrays(self, torch: Any) -> None:
        report = check(lambda x: torch.tanh(x), "tanh", dtype="float32")
        assert kinds(report) == {"exception"}
        assert "through=" in report.findings[0].message

    @pytest.mark.parametrize(
        "computes", ["forward", "derivative", "second-derivative", "backward", "forward-derivative"]
    )
    def test_the_line_to_reproduce_runs_and_gives_what_was_got(self, torch: Any, computes: str) -> None:
        report = check(
            torch.nn.functional.silu, "relu6", dtype="float32", computes=computes, through="torch", points=POINTS
        )
        *setting, last = report.reproduce.partition("  #")[0].split("; ")
        scope = {"torch": torch, "fn": torch.nn.functional.silu}
        exec("; ".join(setting), scope)
        result = eval(last, scope)
        results = [hex_of(one.detach()) for one in (result if isinstance(result, tuple) else (result,))]
        assert report.reproduce.rpartition(", got ")[2] in results


class TestJax:
    @pytest.fixture
    def nn(self) -> Any:
        return pytest.importorskip("jax.nn", reason="JAX is not installed")

    def test_the_tail_of_the_derivative_of_elu_is_lost(self, nn: Any) -> None:
        report = check(nn.elu, "elu", dtype="float32", computes="derivative", through="jax", points=POINTS)
        assert "lost-tail" in defects(report)

    def test_silu_computes_in_float16(self, nn: Any) -> None:
        assert {"lost-tail", "wrong-limit"} <= defects(check(nn.silu, "silu", dtype="float16"))

    @pytest.mark.parametrize(("name", "ours", "at"), [("leaky_relu", "leaky_relu", 0), ("hard_tanh", "hardtanh", 1)])
    def test_its_kinks_are_others_than_ours_and_inside_the_clarke_interval(
        self, nn: Any, name: str, ours: str, at: float
    ) -> None:
        words = {"dtype": "float32", "computes": "derivative", "through": "jax", "points": POINTS}
        report = check(getattr(nn, name), ours, **words)
        assert kinds(report) == {"kink"}
        assert all(kink.inside for kink in report.kinks)
        assert check(getattr(nn, name), ours, subgradient="any", **words).passed

    def test_float64_is_computed_in_its_64_bit_mode(self, nn: Any) -> None:
        assert check(nn.relu, "relu", dtype="float64", points=POINTS).passed


class TestOnnxRuntime:
    @pytest.fixture(autouse=True)
    def _installed(self) -> None:
        pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
        pytest.importorskip("onnx", reason="onnx is not installed")

    def judge(self, fn: Any, activation: str, **words: Any) -> Any:
        return check(fn, activation, **{"dtype": "float32", "through": "onnxruntime", "points": POINTS, **words})

    @pytest.mark.parametrize("name", ["Elu", "Selu"])
    def test_digits_are_lost_near_zero(self, name: str) -> None:
        assert "cancellation" in defects(self.judge(name, name.lower()))

    def test_the_tail_of_sigmoid_is_lost(self) -> None:
        (finding, *_) = self.judge("Sigmoid", "sigmoid").findings
        assert finding.defect == "lost-tail"

    def test_the_tanh_form_of_gelu_has_the_wrong_sign_somewhere(self) -> None:
        assert "wrong-sign" in defects(self.judge("Gelu(approximate='tanh')", "gelu_tanh", points=210_000))

    def test_attributes_reach_the_operator(self) -> None:
        assert self.judge("LeakyRelu(alpha=0.5)", "leaky_relu", parameters={"negative_slope": "1/2"}).passed
        assert not self.judge("LeakyRelu(alpha=0.5)", "leaky_relu").passed

    def test_attributes_of_another_type_are_another_operator(self) -> None:
        assert kinds(self.judge("Elu(alpha=1)", "elu")) == {"exception"}, "alpha is a float there"
        assert "exception" not in kinds(self.judge("Elu(alpha=1.0)", "elu"))

    def test_a_model_file_is_judged(self, tmp_path: Path) -> None:
        import onnx
        from onnx import TensorProto, helper

        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("a", "b")]
        graph = helper.make_graph([helper.make_node("Relu", ["a"], ["b"])], "g", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        path = tmp_path / "relu.onnx"
        onnx.save(model, path)
        assert self.judge(path, "relu").passed
        assert self.judge(str(path), "relu").passed
        assert self.judge(model, "relu").passed
        with pytest.raises(InvalidRequest, match="no model file"):
            self.judge(str(tmp_path / "none.onnx"), "relu")

    @pytest.mark.parametrize("text", ["Gelu(1)", "__import__('os')", "Gelu(approximate=open('x'))", "a b", "1"])
    def test_text_is_read_as_a_name_and_literals_only(self, text: str) -> None:
        with pytest.raises(InvalidRequest, match=r"no operator|not one"):
            self.judge(text, "gelu")

    def test_it_has_no_autograd(self) -> None:
        with pytest.raises(InvalidRequest, match="onnxruntime has no autograd"):
            self.judge("Gelu", "gelu", computes="derivative")
