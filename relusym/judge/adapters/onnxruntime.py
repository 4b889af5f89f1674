"""ONNX Runtime on the CPU: a model file, a model or session of one input and one output, or an operator by name."""

from __future__ import annotations

import ast
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Array
from relusym.judge.adapters.adapter import Adapter, Function, needed

NEWEST = 23
"""The newest operator set that is asked for: ONNX Runtime knows it since 1.22."""

_TYPES = {"float16": "FLOAT16", "bfloat16": "BFLOAT16", "float32": "FLOAT", "float64": "DOUBLE"}


def _function(named: Any) -> Function:
    """A function on NumPy arrays of a path, a model, a session, or text such as Gelu(approximate='tanh')."""
    runtime = needed("onnxruntime", "onnx")
    if isinstance(named, runtime.InferenceSession):
        return lambda x: _run(named, x)
    if isinstance(named, bytes | bytearray):
        session = _session(bytes(named))
        return lambda x: _run(session, x)
    if isinstance(named, Path) or (isinstance(named, str) and named.endswith((".onnx", ".ort"))):
        path = Path(named)
        if not path.is_file():
            raise InvalidRequest(f"onnxruntime: there is no model file {path}")
        session = _session(path.read_bytes())
        return lambda x: _run(session, x)
    if isinstance(named, str):
        domain, operator, attributes = _operator(named)
        return lambda x: _run(_session(_model(domain, operator, attributes, x.dtype.name)), x)
    serialised = getattr(named, "SerializeToString", None)  # an onnx.ModelProto
    if serialised is None:
        raise InvalidRequest(
            f"onnxruntime judges a model file, an onnx.ModelProto, an InferenceSession or an operator's name such as "
            f"\"Gelu(approximate='tanh')\", not {type(named).__name__}"
        )
    session = _session(serialised())
    return lambda x: _run(session, x)


def _operator(text: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Domain, name and attributes of com.microsoft.QuickGelu(alpha=1.702); only literals are read.

    Their text, not their values: 1 and 1.0 are one key of a cache, and two attributes.
    """
    wrong = InvalidRequest(f"{text!r} is no operator; write Gelu, or Gelu(approximate='tanh'), or a model file's name")
    try:
        tree = ast.parse(text, mode="eval").body
        named = tree.func if isinstance(tree, ast.Call) else tree
        given = tree.keywords if isinstance(tree, ast.Call) and not tree.args else []
        attributes = tuple((keyword.arg, ast.unparse(keyword.value)) for keyword in given if keyword.arg)
        for _, value in attributes:
            ast.literal_eval(value)
    except (SyntaxError, ValueError):
        raise wrong from None
    if isinstance(tree, ast.Call) and tree.args:
        raise wrong
    domain, _, operator = ast.unparse(named).rpartition(".")
    if not operator.isidentifier() or not all(part.isidentifier() for part in domain.split(".") if domain):
        raise wrong
    return domain, operator, attributes


@lru_cache(maxsize=64)
def _model(domain: str, operator: str, attributes: tuple[tuple[str, str], ...], dtype: str) -> bytes:
    """A model of this one node, of any shape."""
    onnx = needed("onnx", "onnx")
    element = getattr(onnx.TensorProto, _TYPES[dtype])
    values = {name: ast.literal_eval(value) for name, value in attributes}
    node = onnx.helper.make_node(operator, ["x"], ["y"], domain=domain, **values)
    graph = onnx.helper.make_graph(
        [node],
        operator,
        [onnx.helper.make_tensor_value_info("x", element, None)],
        [onnx.helper.make_tensor_value_info("y", element, None)],
    )
    latest = min(onnx.defs.onnx_opset_version(), NEWEST)
    imports = [onnx.helper.make_opsetid("", latest)] + ([onnx.helper.make_opsetid(domain, 1)] if domain else [])
    model = onnx.helper.make_model(graph, opset_imports=imports)
    model.ir_version = min(model.ir_version, 10)
    found: bytes = model.SerializeToString()
    return found


@lru_cache(maxsize=64)
def _session(model: bytes) -> Any:
    runtime = needed("onnxruntime", "onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what fails raises as well
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _run(session: Any, x: Array) -> Any:
    (wanted, *more), (given, *others) = session.get_outputs(), session.get_inputs()
    if more or others:
        raise InvalidRequest("onnxruntime: the model must have one input and one output")
    packed = np.ascontiguousarray(x).reshape(x.shape)
    if x.dtype != FORMATS["bfloat16"].dtype:
        return session.run([wanted.name], {given.name: packed})[0]
    runtime, onnx = needed("onnxruntime", "onnx"), needed("onnx", "onnx")
    value = runtime.OrtValue.ortvalue_from_numpy_with_onnx_type(packed.view(np.uint16), onnx.TensorProto.BFLOAT16)
    (result,) = session.run_with_ort_values([wanted.name], {given.name: value})
    return result.numpy().view(FORMATS["bfloat16"].dtype)


ADAPTER = Adapter(
    name="onnxruntime",
    packages=("onnxruntime", "onnx"),
    roots=("onnxruntime", "onnx"),
    function=_function,
)
