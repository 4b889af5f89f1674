"""Frameworks whose functions can be judged: one file each, found by name, imported when asked for."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from relusym.errors import InvalidRequest
from relusym.floats import Array
from relusym.judge.adapters.adapter import Adapter, Function, told
from relusym.judge.adapters.numpy import ADAPTER as NUMPY

NAMES = ("numpy", "torch", "jax", "onnxruntime", "tensorflow", "cupy", "dlpack")

DERIVED = ("derivative", "second-derivative", "backward", "forward-derivative", "parameter-gradient")
"""What autograd takes of a forward function."""


@dataclass(frozen=True)
class Adapted:
    """A function on NumPy arrays, the adapter behind it, and the variant that writes into its last input, if any."""

    fn: Callable[..., Any]
    adapter: Adapter
    in_place: Callable[..., Any] | None = None


def adapter_named(name: str) -> Adapter:
    """The adapter of this framework; `InvalidRequest` lists those there are."""
    if name not in NAMES:
        raise InvalidRequest(f"there is no adapter for {name!r}; known: {', '.join(NAMES)}")
    found: Adapter = import_module(f"relusym.judge.adapters.{name}").ADAPTER
    return found


def adapter_of(fn: Any) -> Adapter:
    """The adapter of the framework that a function, module or partial comes from; NumPy where nothing tells.

    Only functions that a framework defines are recognised, not those of a user that call one: such a function may
    take anything, so `through` has to say what.
    """
    while isinstance(fn, functools.partial):
        fn = fn.func
    owner = told(fn, "__self__")
    owner = told(fn, "__objclass__") if owner is None else owner
    kinds = [type(fn), *(owner.__mro__ if isinstance(owner, type) else type(owner).__mro__), *type(fn).__mro__]
    homes = {str(told(one, "__module__") or "").partition(".")[0] for one in (fn, *kinds)}
    for name in NAMES:
        adapter = adapter_named(name)
        if homes & set(adapter.roots):
            return adapter
    return NUMPY


def adapted(
    fn: Any,
    *,
    through: str | None = None,
    computes: str = "forward",
    parameters: Mapping[str, float] | None = None,
    in_place: Callable[..., Any] | None = None,
) -> Adapted:
    """`fn` as a function on NumPy arrays that computes the quantity.

    With `through`, `fn` is the forward function of that framework and other quantities are taken by its autograd; for
    parameter-gradient:NAME it is called as fn(x, NAME=array), with the value of `parameters` in each element.
    Without, `fn` computes the quantity itself, on arrays of the framework it comes from. `in_place` is a variant that
    writes its result into its last input; where none is given one is looked for.

    Raises `InvalidRequest` for a framework without autograd or that nobody knows, `Missing` where it is not installed.
    """
    adapter = adapter_of(fn) if through is None else adapter_named(through)
    if through is None and isinstance(fn, str):
        raise InvalidRequest(f"fn is the text {fn!r}; say by through= which framework it is the name of, or give it")
    function = adapter.function(fn)
    if not callable(function):
        raise InvalidRequest(f"fn is {type(fn).__name__}, which is not callable")
    if through is not None and computes != "forward":
        if in_place is not None:
            raise InvalidRequest(f"in_place goes with the forward function; {computes!r} is taken by autograd")
        return Adapted(_derived(adapter, function, computes, parameters or {}), adapter)
    found = in_place or (adapter.in_place(fn) if computes == "forward" or adapter is NUMPY else None)
    return Adapted(_called(adapter, function), adapter, None if found is None else _written(adapter, found))


def _called(adapter: Adapter, function: Function) -> Callable[..., Any]:
    """The function on NumPy arrays."""
    if adapter is NUMPY:
        return function
    return _in_session(adapter, lambda *arrays: function(*map(adapter.given, arrays)))


def _in_session(adapter: Adapter, compute: Callable[..., Any]) -> Callable[..., Any]:
    """With its result, or each of several, as NumPy arrays."""

    def kernel(*arrays: Array) -> Any:
        with adapter.session(arrays[-1].dtype.name):
            result = compute(*arrays)
            return tuple(map(adapter.taken, result)) if isinstance(result, tuple | list) else adapter.taken(result)

    return kernel


def _written(adapter: Adapter, in_place: Function) -> Callable[..., Any]:
    """What such a variant leaves in its last input; what it returns where that is in other memory."""
    call = _called(adapter, in_place)

    def kernel(*arrays: Array) -> Any:
        returned = call(*arrays)
        return arrays[-1] if adapter.shares else returned

    return kernel


def _derived(adapter: Adapter, fn: Function, computes: str, parameters: Mapping[str, float]) -> Callable[..., Any]:
    """The quantity on NumPy arrays, by the framework's autograd."""
    gradient, given = adapter.gradient, adapter.given
    if gradient is None:
        raise InvalidRequest(
            f"{adapter.name} has no autograd here; give its own derivative as fn, with computes={computes!r} and "
            "without through"
        )
    kind, _, name = computes.partition(":")
    if kind not in DERIVED:
        raise InvalidRequest(f"{computes!r} cannot be taken by autograd; possible: forward, {', '.join(DERIVED)}")

    def quantity(*arrays: Array) -> Any:
        x, weight = given(arrays[-1]), given(np.ones_like(arrays[-1]))
        if kind == "second-derivative":
            return gradient(lambda at: gradient(fn, at, weight), x, weight)
        if kind == "forward-derivative":
            return fn(x), gradient(fn, x, weight)
        if kind == "backward":
            return gradient(fn, x, given(arrays[0]))
        if kind == "parameter-gradient":
            value = given(np.full_like(arrays[-1], parameters[name]))
            return gradient(lambda at: fn(x, **{name: at}), value, given(arrays[0]))
        return gradient(fn, x, weight)

    return _in_session(adapter, quantity)
