"""What a kernel takes and gives, read off the quantity that it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """The arrays of a call in order, the results, and which quantity of f the program computes.

    Without an `addend` that quantity is taken at x, with one at x plus the array of this name, rounded once to the
    work format. `channelwise` names an array of one dimension, an element for each place along the last axis of the
    others. `summed` names a result like it: the sums of the first result over all other axes. `reduced` names results
    like the parameters that are passed, in their order: sums over all axes along which a parameter was broadcast.
    """

    arrays: tuple[str, ...]
    results: tuple[str, ...]
    lowered: str
    says: str
    addend: str | None = None
    channelwise: str | None = None
    summed: str | None = None
    reduced: tuple[str, ...] = ()

    @property
    def point(self) -> str:
        """The array at whose elements the lowered quantity is taken; the last one where that is all of them."""
        return next((name for name in self.arrays if name in ("x", "y")), self.arrays[-1])


_PLAIN = {
    "forward": Signature(("x",), ("y",), "forward", "f(x)"),
    "derivative": Signature(("x",), ("y",), "derivative", "f'(x)"),
    "second-derivative": Signature(("x",), ("y",), "second-derivative", "f''(x)"),
    "backward": Signature(("grad", "x"), ("y",), "backward", "grad * f'(x)"),
    "forward-derivative": Signature(("x",), ("y", "dy"), "forward-derivative", "(f(x), f'(x))"),
}

PARAMETERS = "backward-parameters"
"""The backward pass and the gradients of the parameters that are passed at each call, summed to their shapes."""

_FUSED = {
    "bias-forward": Signature(
        ("x", "bias"), ("y",), "forward", "f(x + bias), bias along the last axis", addend="bias", channelwise="bias"
    ),
    "residual-forward": Signature(("x", "residual"), ("y",), "forward", "f(x + residual)", addend="residual"),
    "bias-backward": Signature(
        ("grad", "x", "bias"),
        ("dx", "db"),
        "backward",
        "(dx, db): dx = grad * f'(x + bias), and its sums over all axes but the last",
        addend="bias",
        channelwise="bias",
        summed="db",
    ),
    "residual-backward": Signature(
        ("grad", "x", "residual"), ("dx",), "backward", "grad * f'(x + residual)", addend="residual"
    ),
    "backward-from-output": Signature(
        ("grad", "y"), ("dx",), "parameter-gradient:factor", "grad * f'(x), from y = f(x) as it was stored"
    ),
}

SIGNATURES: Mapping[str, Signature] = {**_PLAIN, **_FUSED}

FUSED = tuple(_FUSED)
"""Quantities beyond those of f and its derivatives at x; see `relusym_codegen.fusion`."""


def signature_of(computes: str, passed: Sequence[str] = ()) -> Signature:
    """The signature of a quantity, with these parameters passed at each call.

    Parameter gradients, whose word names the parameter, have one in common; that of `PARAMETERS` has a result for each
    parameter that is passed.
    """
    kind, _, parameter = computes.partition(":")
    if kind == "parameter-gradient":
        return Signature(("grad", "x"), ("y",), computes, f"grad * df/d{parameter} at x")
    if computes == PARAMETERS:
        reduced = tuple(f"d{name}" for name in passed)
        sums = ", ".join(
            f"{result} = the sum of grad * df/d{name}" for name, result in zip(passed, reduced, strict=True)
        )
        says = f"({', '.join(('dx', *reduced))}): dx = grad * f'(x), and over the axes of its parameter {sums}"
        return Signature(("grad", "x"), ("dx", *reduced), computes, says, reduced=reduced)
    return SIGNATURES[computes]
