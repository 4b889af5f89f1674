"""TensorFlow: eager tensors, and tf.GradientTape."""

from __future__ import annotations

from typing import Any

import numpy as np

from relusym.floats import Array
from relusym.judge.adapters.adapter import Adapter, Function, needed, refuse_others


def _given(array: Array) -> Any:
    return needed("tensorflow", "tensorflow").constant(np.ascontiguousarray(array) if array.ndim else array)


def _taken(result: Any) -> Any:
    return result.numpy() if isinstance(result, needed("tensorflow", "tensorflow").Tensor) else result


def _gradient(fn: Function, at: Any, weight: Any) -> Any:
    tf = needed("tensorflow", "tensorflow")
    with tf.GradientTape() as tape:
        tape.watch(at)
        result = fn(at)
    refuse_others(result, tf.Tensor, at)
    slope = tape.gradient(result, at, output_gradients=weight)
    return tf.zeros_like(at) if slope is None else slope


def _threads(count: int) -> None:
    threading = needed("tensorflow", "tensorflow").config.threading
    threading.set_intra_op_parallelism_threads(count)
    threading.set_inter_op_parallelism_threads(count)


_TAPED = "tape = tf.GradientTape(); tape.__enter__(); tape.watch(x);"

ADAPTER = Adapter(
    name="tensorflow",
    packages=("tensorflow",),
    roots=("tensorflow", "keras"),
    given=_given,
    taken=_taken,
    gradient=_gradient,
    threads=_threads,
    namespace="tf",
    array_text="tf.constant([{value}], dtype={dtype})",
    autograd_text={
        **dict.fromkeys(("derivative", "backward"), f"{_TAPED} tape.gradient({{fn}}(x), x, {{g}})"),
        "forward-derivative": f"{_TAPED} y = {{fn}}(x); (y, tape.gradient(y, x, {{g}}))",
        "second-derivative": f"outer = tf.GradientTape(); {_TAPED} outer.__enter__(); outer.watch(x); "
        "d = tape.gradient({fn}(x), x, {g}); outer.gradient(d, x, {g})",
        "parameter-gradient": "tape = tf.GradientTape(); tape.__enter__(); tape.watch(p); "
        "tape.gradient({fn}(x, {parameter}=p), p, {g})",
    },
)
