"""JAX: arrays without a memory layout, and jax.vjp; float64 inside its 64-bit mode."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from relusym.floats import Array
from relusym.judge.adapters.adapter import Adapter, Function, needed, refuse_others

LENGTHS = (0, 1, 2, 3, 8, 17, 64, 67)
"""Each length is compiled by itself."""


def _given(array: Array) -> Any:
    return needed("jax", "jax").numpy.asarray(np.ascontiguousarray(array) if array.ndim else array)


def _taken(result: Any) -> Any:
    return np.asarray(result) if isinstance(result, needed("jax", "jax").Array) else result


def _gradient(fn: Function, at: Any, weight: Any) -> Any:
    jax = needed("jax", "jax")
    result, pull_back = jax.vjp(fn, at)
    refuse_others(result, jax.Array, at)
    return pull_back(weight)[0]


def _session(dtype: str) -> AbstractContextManager[Any]:
    if dtype != "float64":
        return nullcontext()
    found: AbstractContextManager[Any] = needed("jax", "jax").enable_x64(True)
    return found


ADAPTER = Adapter(
    name="jax",
    packages=("jax", "jaxlib"),
    roots=("jax", "jaxlib", "flax", "equinox"),
    lengths=LENGTHS,
    given=_given,
    taken=_taken,
    gradient=_gradient,
    session=_session,
    namespace="jnp",
    array_text="jnp.array([{value}], dtype={dtype})",
    autograd_text={
        **dict.fromkeys(("derivative", "backward"), "jax.vjp({fn}, x)[1]({g})[0]"),
        "forward-derivative": "jax.jvp({fn}, (x,), ({g},))",
        "second-derivative": "jax.vjp(lambda t: jax.vjp({fn}, t)[1]({g})[0], x)[1]({g})[0]",
        "parameter-gradient": "jax.vjp(lambda t: {fn}(x, {parameter}=t), p)[1]({g})[0]",
    },
)
