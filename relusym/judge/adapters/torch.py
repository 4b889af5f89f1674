"""PyTorch: tensors on the CPU that share the memory of the NumPy array, and torch.autograd."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from relusym.floats import FORMATS, Array
from relusym.judge.adapters.adapter import Adapter, Function, needed, refuse_others, takes


def _given(array: Array) -> Any:
    torch = needed("torch", "torch")
    if array.dtype == FORMATS["bfloat16"].dtype:  # NumPy has no such dtype of its own
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _taken(result: Any) -> Any:
    torch = needed("torch", "torch")
    if not isinstance(result, torch.Tensor):
        return result
    found = result.detach().cpu()
    try:
        return _as_numpy(found)
    except RuntimeError:
        return _as_numpy(found.clone())  # autograd may give a zero without memory


def _as_numpy(tensor: Any) -> Any:
    torch = needed("torch", "torch")
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(FORMATS["bfloat16"].dtype)
    return tensor.numpy()


def _gradient(fn: Function, at: Any, weight: Any) -> Any:
    torch = needed("torch", "torch")
    nested = at.requires_grad
    leaf = at if nested else at.detach().requires_grad_()
    result = fn(leaf)
    refuse_others(result, torch.Tensor, at)
    if not result.requires_grad:
        return torch.zeros_like(at)  # what does not depend on the input has this derivative
    # Only within another derivative: formulas that can be differentiated again may be others than the usual ones.
    (slope,) = torch.autograd.grad(result, leaf, weight, create_graph=nested, allow_unused=True)
    return torch.zeros_like(at) if slope is None else slope


def _in_place(fn: Any) -> Function | None:
    """With inplace=True, for functions that have this argument and modules that have this attribute."""
    torch = needed("torch", "torch")
    if isinstance(fn, torch.nn.Module):
        if getattr(fn, "inplace", None) is not False:
            return None
        other = copy.copy(fn)
        other.inplace = True
        return partial(other)
    return partial(fn, inplace=True) if takes(fn, "inplace") else None


@contextmanager
def _session(dtype: str) -> Iterator[None]:
    """With gradients, whatever the caller has switched off."""
    torch = needed("torch", "torch")
    with torch.inference_mode(False), torch.enable_grad():
        yield


def _threads(count: int) -> None:
    needed("torch", "torch").set_num_threads(count)


ADAPTER = Adapter(
    name="torch",
    packages=("torch",),
    roots=("torch", "torchvision", "torchaudio"),
    layouts=frozenset({"strided"}),  # no negative strides, and addresses must be those of elements
    given=_given,
    taken=_taken,
    gradient=_gradient,
    in_place=_in_place,
    session=_session,
    threads=_threads,
    namespace="torch",
    array_text="torch.tensor([{value}], dtype={dtype})",
    leaf_text="{array}.requires_grad_()",
    autograd_text={
        **dict.fromkeys(("derivative", "backward"), "torch.autograd.grad({fn}(x), x, {g})[0]"),
        "forward-derivative": "({fn}(x), torch.autograd.grad({fn}(x), x, {g})[0])",
        "second-derivative": "torch.autograd.grad("
        "torch.autograd.grad({fn}(x), x, {g}, create_graph=True)[0], x, {g})[0]",
        "parameter-gradient": "torch.autograd.grad({fn}(x, {parameter}=p), p, {g})[0]",
    },
    shares=True,
)
