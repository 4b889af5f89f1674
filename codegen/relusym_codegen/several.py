"""Kernels for functions of several inputs or values, from the programs of functions of one.

A maximum is comparisons alone. A gated unit a g(b) is the program of g, or of g and g', times what comes in; several
values of one input are the programs of each. Programs are played into one, so that what they have in common is
computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import sympy

from relusym.activation import Parameter
from relusym.errors import InvalidRequest, InvalidSubgradient
from relusym.floats import Format
from relusym.pieces import split
from relusym.several.forms import TIE_POLICIES
from relusym.several.recognition import policy_of
from relusym.structures import Bundle, Gated, Maximum, structure_of
from relusym_codegen.fusion import FACTOR
from relusym_codegen.lowering import Lowered
from relusym_codegen.program import Builder, Operand, Program
from relusym_codegen.requests import Request, lowered
from relusym_codegen.signatures import Signature

Maker = TypeVar("Maker", bound=Callable[..., tuple[Lowered, Signature]])

OF_MAXIMA = ("forward-index", "backward-from-index")
"""Quantities of a maximum that keep which input was the largest."""


def of_several(request: Request) -> tuple[Lowered, Signature]:
    """The program of a function of several inputs or values, and what a kernel of it takes and gives.

    Raises `InvalidRequest` for a function without a known structure and for a quantity it does not have, and
    `InvalidSubgradient` for a policy that says nothing about its ties.
    """
    if request.passed:
        names = ", ".join(map(str, request.passed))
        raise InvalidRequest(
            f"{request.definition.name}: parameters of a function of several inputs are folded into its kernels, and "
            f"{names} would be passed at each call; give a value: arguments=()"
        )
    structure = structure_of(request.definition)
    match structure:
        case Maximum():
            return _chosen(request, _MAXIMA)(request, structure)
        case Gated():
            return _chosen(request, _GATES)(request, structure)
        case Bundle():
            return _chosen(request, _BUNDLES)(request, structure)


def _chosen(request: Request, known: Mapping[str, Maker]) -> Maker:
    """What makes the quantity that is asked for."""
    if request.computes not in known:
        raise InvalidRequest(
            f"{request.definition.name} has {request.definition.shape}: there is no {request.computes} of it; "
            f"known: {', '.join(known)}"
        )
    return known[request.computes]


def played(b: Builder, program: Program, names: Mapping[str, Operand]) -> tuple[Operand, ...]:
    """The outputs of a program whose lets are added to those of `b`; `names` are the operands of its inputs."""
    known: dict[str, Operand] = dict(names)

    def now(operand: Operand) -> Operand:
        return known[operand] if isinstance(operand, str) else operand

    for let in program.lets:
        known[let.name] = b(let.operation, *map(now, let.operands))
    return tuple(map(now, program.outputs))


# --- the largest of several ---


def _maximum(request: Request, structure: Maximum) -> tuple[Lowered, Signature]:
    names = tuple(map(str, structure.inputs))
    b = Builder(names, _exact_format(request))
    largest, _ = _largest(b, names, "first")
    return _exactly(b, largest), Signature(names, ("y",), "forward", f"max({', '.join(names)})")


def _maximum_index(request: Request, structure: Maximum) -> tuple[Lowered, Signature]:
    names = tuple(map(str, structure.inputs))
    b = Builder(names, _exact_format(request))
    largest, index = _largest(b, names, _one_of_the_tied(request))
    says = f"(max({', '.join(names)}), the place of the largest among them, from 0 on)"
    return _exactly(b, largest, index), Signature(names, ("y", "index"), "forward", says)


def _maximum_from_index(request: Request, structure: Maximum) -> tuple[Lowered, Signature]:
    _one_of_the_tied(request)
    names = tuple(map(str, structure.inputs))
    b = Builder(("grad", "index"), _exact_format(request))
    lost = b("ne", "index", "index")
    shares = [
        b("select", lost, "index", b("select", b("eq", "index", float(place)), "grad", 0.0))
        for place in range(len(names))
    ]
    says = "grad for the input at the index, as it was stored, and 0 for the others"
    return _exactly(b, *shares), Signature(("grad", "index"), _gradients(names), "backward", says)


def _maximum_backward(request: Request, structure: Maximum) -> tuple[Lowered, Signature]:
    names = tuple(map(str, structure.inputs))
    policy = _tie_policy(request)
    shared = policy == "least-norm" and len(names) > 2
    # a third of a gradient is rounded: in the widest format where there is one, so that it is rounded once
    work = request.work_formats[-1] if shared else _exact_format(request)
    b = Builder(("grad", *names), work)
    largest, index = _largest(b, names, policy)
    lost = b("ne", largest, largest)
    if policy == "least-norm":
        tied = [b("eq", name, largest) for name in names]
        share: Operand = "grad"
        count: Operand = b("select", tied[0], 1.0, 0.0)
        for here in tied[1:]:
            count = b("add", count, b("select", here, 1.0, 0.0))
        for number in range(2, len(names) + 1):
            part = b("mul", "grad", b.constant(sympy.Rational(1, number)))
            share = b("select", b("eq", count, float(number)), part, share)
        received = [b("select", here, share, 0.0) for here in tied]
    else:
        received = [b("select", b("eq", index, float(place)), "grad", 0.0) for place in range(len(names))]
    shares = [b("select", lost, largest, value) for value in received]
    to_whom = {"least-norm": "in equal shares to the largest inputs"}.get(
        policy, f"to the {policy} of the largest inputs"
    )
    signature = Signature(("grad", *names), _gradients(names), "backward", f"grad {to_whom}, 0 for the others")
    return _exactly(b, *shares), signature


def _largest(b: Builder, names: Sequence[str], policy: str) -> tuple[Operand, Operand]:
    """The maximum, NaN where there is one among the inputs, and the place of the first or last that equals it."""
    largest: Operand = names[0]
    index: Operand = 0.0
    for place, name in enumerate(names[1:], start=1):
        stays = b("ge" if policy != "last" else "gt", largest, name)
        index = b("select", stays, index, float(place))
        largest = b("select", stays, largest, name)
    # a comparison with NaN is false: one that was met last is kept, and others are looked for once more
    for name in names:
        largest = b("select", b("ne", name, name), name, largest)
    return largest, b("select", b("ne", largest, largest), largest, index)


def _tie_policy(request: Request) -> str:
    if request.subgradient not in TIE_POLICIES:
        raise InvalidSubgradient(
            f"{request.definition.name}: subgradient {request.subgradient!r} says nothing about the ties of a maximum; "
            f"known: {', '.join(TIE_POLICIES)}"
        )
    return str(request.subgradient)


def _one_of_the_tied(request: Request) -> str:
    policy = _tie_policy(request)
    if policy == "least-norm":
        raise InvalidSubgradient(
            f"{request.definition.name}: {request.computes} keeps one index, and least-norm gives ties to several "
            "inputs; choose subgradient='first' or 'last'"
        )
    return policy


def _exact_format(request: Request) -> Format:
    """The cheapest format: nothing is rounded."""
    return request.work_formats[0]


def _exactly(b: Builder, *outputs: Operand) -> Lowered:
    return Lowered(b.program(*outputs), (), ())


# --- one input times a function of another ---


def _gated(request: Request, structure: Gated) -> tuple[Lowered, Signature]:
    inputs = tuple(map(str, request.definition.inputs))
    factor, gate = str(structure.factor), str(structure.variable)
    b, parts = _parts([_product(request, structure)], inputs)
    outputs = played(b, parts[0].program, {"x": gate, "grad": factor})
    return _joined(b, parts, *outputs), Signature(inputs, ("y",), "forward", f"{factor} * g({gate})")


def _gated_backward(request: Request, structure: Gated) -> tuple[Lowered, Signature]:
    inputs = tuple(map(str, request.definition.inputs))
    factor, gate = str(structure.factor), str(structure.variable)
    # g and g' one after the other: a program of both together is no shorter, and takes twice as long to find
    request = _rounded_once(request)
    slope_of = replace(request, definition=structure.gate, computes="derivative")
    b, parts = _parts([_product(request, structure), slope_of], ("grad", *inputs))
    (by_factor,) = played(b, parts[0].program, {"x": gate, "grad": "grad"})
    (slope,) = played(b, parts[1].program, {"x": gate})
    wide = b.work_format.max_exponent > 3 * request.form.max_exponent
    results = {factor: by_factor, gate: _product_of_three(b, "grad", factor, slope, wide=wide)}
    says = ", ".join(f"grad * df/d{name}" for name in inputs)
    signature = Signature(b.inputs, _gradients(inputs), "backward", f"({says})")
    return _joined(b, parts, *(results[name] for name in inputs)), signature


def _product(request: Request, structure: Gated) -> Request:
    """Factor times g, as the gradient of factor * g(x) by the factor."""
    gate = structure.gate
    return replace(
        request,
        definition=replace(gate, expr=FACTOR * gate.expr, parameters=(*gate.parameters, Parameter(FACTOR, 1))),
        computes=f"parameter-gradient:{FACTOR}",
        subgradient="least-norm",
        values={**request.values, FACTOR: sympy.S.One},
    )


def _product_of_three(b: Builder, grad: Operand, factor: Operand, slope: Operand, *, wide: bool) -> Operand:
    """The product grad * factor * slope, finite where it is, for slopes up to 2.

    In a format that is no wider than the inputs the larger of the two is halved and multiplied first: then nothing
    overflows unless the result does, and what underflows is of the size of the result's own rounding.
    """
    if wide:
        return b("mul", b("mul", grad, factor), slope)
    swapped = b("lt", b("abs", grad), b("abs", factor))
    larger, smaller = b("select", swapped, factor, grad), b("select", swapped, grad, factor)
    half = b("mul", b("mul", b("mul", larger, 0.5), slope), smaller)
    return b("add", half, half)


# --- several values of one input ---


def _bundle(request: Request, structure: Bundle) -> tuple[Lowered, Signature]:
    b, parts = _parts([replace(request, definition=part) for part in structure.parts], ("x",))
    outputs = [played(b, part.program, {"x": "x"})[0] for part in parts]
    says = f"({', '.join(f'f{number}(x)' for number, _ in enumerate(parts, 1))})"
    return _joined(b, parts, *outputs), Signature(("x",), _numbered("y", structure), "forward", says)


def _bundle_backward(request: Request, structure: Bundle) -> tuple[Lowered, Signature]:
    gradients = _numbered("grad", structure)
    b, parts = _parts([replace(request, definition=part) for part in structure.parts], (*gradients, "x"))
    terms = [played(b, part.program, {"x": "x", "grad": name})[0] for name, part in zip(gradients, parts, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = b("add", total, term)
    says = " + ".join(f"{name} * f{number}'(x)" for number, name in enumerate(gradients, 1))
    return _joined(b, parts, total), Signature((*gradients, "x"), ("dx",), "backward", says)


def _numbered(name: str, structure: Bundle) -> tuple[str, ...]:
    return tuple(f"{name}{number}" for number, _ in enumerate(structure.parts, 1))


def _gradients(inputs: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"d{name}" for name in inputs)


# --- programs of functions of one, in one ---


def _parts(requests: Sequence[Request], inputs: tuple[str, ...]) -> tuple[Builder, list[Lowered]]:
    """The programs, all in the widest format that one of them takes, and where to play them."""
    asked = [_in_range(_with_slopes(request)) for request in requests]
    made = [lowered(request) for request in asked]
    work = max((part.program.work_format for part in made), key=lambda form: form.precision)
    made = [
        part if part.program.work_format == work else lowered(replace(request, formats=(work,)))
        for request, part in zip(asked, made, strict=True)
    ]
    return Builder(inputs, work), made


def _with_slopes(request: Request) -> Request:
    """With the slopes that its policy stands for, where that is the name of a convention."""
    policy = policy_of(request.definition, request.subgradient, request.values)
    return replace(request, subgradient=policy).with_choices()


def _rounded_once(request: Request) -> Request:
    """Of float32 `precise` with the widest format alone, in which products are exact enough to be rounded once."""
    once = request.form.name == "float32" and request.accuracy == "precise"
    return replace(request, formats=request.work_formats[-1:]) if once else request


def _in_range(request: Request) -> Request:
    """With formats in which a product with its result is as exact as the result.

    Where g is linear on every piece, with nothing to be rounded but the product, that is the narrowest.
    """
    if _is_linear(request):
        return replace(request, formats=request.work_formats[:1])
    return _rounded_once(request)


def _is_linear(request: Request) -> bool:
    """Whether every piece is 0, or plus or minus the input, with the factor or without."""
    pieces = split(request.definition, {name: value for name, value in request.values.items() if name != FACTOR})
    exact = {sympy.S.Zero, *(sign * part for sign in (1, -1) for part in (pieces.variable, FACTOR * pieces.variable))}
    return all(piece.expr in exact for piece in pieces.pieces)


def _joined(b: Builder, parts: Sequence[Lowered], *outputs: Operand) -> Lowered:
    return Lowered(
        b.program(*outputs),
        tuple(sorted({threshold for part in parts for threshold in part.thresholds})),
        tuple(dict.fromkeys(text for part in parts for text in part.warnings)),
        max(part.error for part in parts),
        tuple(dict.fromkeys(name for part in parts for name in part.foreign)),
        any(part.paired for part in parts),
    )


_MAXIMA = {
    "forward": _maximum,
    "backward": _maximum_backward,
    "forward-index": _maximum_index,
    "backward-from-index": _maximum_from_index,
}
_GATES = {"forward": _gated, "backward": _gated_backward}
_BUNDLES = {"forward": _bundle, "backward": _bundle_backward}
