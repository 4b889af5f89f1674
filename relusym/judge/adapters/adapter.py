"""What an adapter is: how functions of one framework are called with NumPy arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from relusym.errors import Missing
from relusym.floats import Array

LONGEST_TAIL = 67
"""Lengths 0 to this are tried one by one: whatever the vector width, body and tail both occur."""

LAYOUTS = frozenset({"strided", "reversed", "unaligned"})
"""What an array can be beside contiguous: with gaps or axes in another order, backwards, at an odd address."""

Function = Callable[..., Any]


def _itself(value: Any) -> Any:
    return value


def _quietly(dtype: str) -> AbstractContextManager[Any]:
    return nullcontext()


def _nothing(count: int) -> None:
    return None


def _no_in_place(fn: Any) -> Function | None:
    return None


@dataclass(frozen=True)
class Adapter:
    """One framework. Its module holds one of these as `ADAPTER`, and imports the framework inside functions only.

    `packages` are the distributions whose versions a report names, `roots` the modules whose functions are the
    framework's. `given` makes its array of a NumPy array of one of the four formats, in the same memory layout if that
    is one of `layouts`; `taken` gives the NumPy array back, and what is no array of the framework as it is.
    `function` makes a function on its arrays of what a user named (a model file, say). `gradient(fn, at, weight)` is
    the derivative of the sum of weight * fn at `at`, by its autograd, and can be differentiated again; None where it
    has none. `in_place` is the variant of a function that writes into its argument, if one is known. Calls are made
    inside `session(dtype)`. `lengths` are tried one by one, `threads` limits the framework's own threads, and
    `shares` says that its array is in the memory of the NumPy array. `array_text` is how an array of
    one element is written, with dtypes in `namespace`, and `leaf_text` how one by which a derivative is taken.
    `autograd_text` says, by quantity, how that is done: an expression in x (and p, the parameter), the function {fn}
    and the gradient {g}; statements may stand before it.
    """

    name: str
    packages: tuple[str, ...] = ()
    roots: tuple[str, ...] = ()
    layouts: frozenset[str] = frozenset()
    lengths: tuple[int, ...] = tuple(range(LONGEST_TAIL + 1))
    given: Callable[[Array], Any] = _itself
    taken: Callable[[Any], Any] = _itself
    function: Callable[[Any], Function] = _itself
    gradient: Callable[[Function, Any, Any], Any] | None = None
    in_place: Callable[[Any], Function | None] = _no_in_place
    session: Callable[[str], AbstractContextManager[Any]] = _quietly
    threads: Callable[[int], None] = _nothing
    shares: bool = False
    namespace: str = "np"
    array_text: str = "np.array([{value}], dtype={dtype})"
    leaf_text: str = "{array}"
    autograd_text: Mapping[str, str] = field(default_factory=dict)


def needed(module: str, extra: str) -> Any:
    """The framework's module; `Missing` says how it is installed."""
    try:
        return import_module(module)
    except ImportError as error:
        raise Missing(f"{module} is not installed ({error}); install it with: pip install 'relusym[{extra}]'") from None


def told(fn: Any, name: str) -> Any:
    """The attribute of a callable; None where it has none, or answers with an error of its own, whatever that is."""
    try:
        return getattr(fn, name, None)
    except Exception:
        return None


def takes(fn: Any, name: str) -> bool:
    """Whether a callable says that it has an argument of this name."""
    try:
        return name in inspect.signature(fn).parameters
    except Exception:  # functions written in C need not tell, and an object may answer with any error
        return False


def refuse_others(result: Any, kind: type[Any], at: Any) -> None:
    """`TypeError` unless a result that is to be differentiated is an array of this kind, like the input."""
    if not isinstance(result, kind):
        raise TypeError(f"fn returns {type(result).__module__}.{type(result).__qualname__}, which has no derivative")
    for kind_of, given, back in (("shape", at.shape, result.shape), ("dtype", at.dtype, result.dtype)):
        if given != back:
            raise TypeError(f"fn gives an array of {kind_of} {back} for one of {kind_of} {given}")
