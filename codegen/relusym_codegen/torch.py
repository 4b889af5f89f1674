"""Kernels inside PyTorch: an activation as a custom operator with its derivatives, and as a module.

Forward, backward, second derivative and the gradients of parameters are generated kernels, one for each dtype, made
when a tensor of that dtype first arrives: C (or NumPy where there is no compiler) for tensors on the CPU, CUDA for
tensors on a GPU. PyTorch does the rest: its autograd, `torch.export`, `torch.compile` and `vmap` know the operators
by their shapes and formulas and never look inside.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import sympy
from sympy import Expr

from relusym import conventions
from relusym.activation import Activation, Number, exact, parameter_values
from relusym.activations import named
from relusym.calculus.derivatives import derivative
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest, Missing
from relusym.pieces import split
from relusym_codegen.broadcasting import beside
from relusym_codegen.generation import ACCURACIES, generate, passed_symbols
from relusym_codegen.kernel import Kernel
from relusym_codegen.signatures import PARAMETERS

try:
    import torch
    from torch.autograd.forward_ad import unpack_dual
except ImportError:
    raise Missing("PyTorch is not installed; install it with: pip install 'relusym[torch]'") from None

NAMESPACE = "relusym"
"""Of the operators: `torch.ops.relusym`."""

DTYPES: Mapping[torch.dtype, str] = {
    torch.float16: "float16",
    torch.bfloat16: "bfloat16",
    torch.float32: "float32",
    torch.float64: "float64",
}

Tensor: TypeAlias = Any
"""torch.Tensor, which has no types that a checker could read without PyTorch."""


@dataclass(frozen=True)
class Setting:
    """What an operator computes: everything that makes two of them differ, in one form only.

    `subgradient` is a named policy or convention, one exact number, or pairs of a kink and its value. `folded` are the
    exact values of the parameters in the kernels' text; `arguments` are passed at each call, and `typical` are values
    of those among them that have no default, for the generator to try its text at.
    """

    definition: Activation
    accuracy: str
    subgradient: str | Expr | tuple[tuple[Expr, Expr], ...]
    folded: tuple[tuple[str, Expr], ...]
    arguments: tuple[str, ...]
    typical: tuple[tuple[str, Expr], ...] = ()

    @property
    def policy(self) -> Policy:
        """The subgradient as `generate` takes it."""
        return dict(self.subgradient) if isinstance(self.subgradient, tuple) else self.subgradient

    @property
    def name(self) -> str:
        """The operator's name: the activation's, and a digest of all that makes settings differ."""
        definition = self.definition
        everything = (
            sympy.srepr(definition.expr),
            sympy.srepr(definition.inputs),
            [(sympy.srepr(one.symbol), sympy.srepr(one.default), one.learnable) for one in definition.parameters],
            sorted((sympy.srepr(at), sympy.srepr(value)) for at, value in definition.subgradients.items()),
            definition.source,
            sorted(definition.names.items()),
            self.accuracy,
            sympy.srepr(self.subgradient),
            sympy.srepr(self.folded),
            self.arguments,
            sympy.srepr(self.typical),
        )
        letters = re.sub(r"[^A-Za-z0-9_]", "_", definition.name)
        return f"{letters}_{hashlib.sha256(repr(everything).encode()).hexdigest()[:20]}"

    def kernel(self, computes: str, dtype: torch.dtype, target: str | None) -> Kernel:
        """Generated now."""
        return generate(
            self.definition,
            target,
            DTYPES[dtype],
            computes,
            self.accuracy,
            self.policy,
            self.arguments,
            **dict(self.folded + self.typical),
        )


@dataclass(frozen=True)
class Function:
    """An activation as a function of tensors: `fn(x, *arguments)`; `operator` is the one in `torch.ops`.

    `x` is a tensor of float16, bfloat16, float32 or float64, of any shape and layout, on the CPU or on a GPU; the
    result has its dtype, shape and memory format. An argument is a number, a tensor of one element, or one that
    broadcasts to x without making it larger: one value for each channel of (N, C, H, W) has the shape (C, 1, 1).
    Travels between processes as its setting.
    """

    setting: Setting
    operator: Any = field(compare=False, repr=False)

    def __call__(self, x: Tensor, *arguments: Tensor | float) -> Tensor:
        """f(x), element by element."""
        tensors = (x, *[_as_tensor(value) for value in arguments])
        for tensor in tensors:
            if unpack_dual(tensor).tangent is not None:  # an operator would drop it, and the result look constant
                raise InvalidRequest(
                    f"{self.setting.definition.name}: forward-mode derivatives are not available; take them in reverse "
                    "mode, with backward() or torch.autograd.grad"
                )
        return self.operator(*tensors)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Setting]]:
        return _function, (self.setting,)


def as_function(
    activation: str | Activation,
    *,
    accuracy: str = "precise",
    subgradient: Policy = "least-norm",
    arguments: Iterable[str] | None = None,
    **parameters: Number,
) -> Function:
    """The activation as a differentiable PyTorch function: `fn(x)`, or `fn(x, alpha)` with a parameter as argument.

    `parameters` are exact values ('0.1' is 1/10), folded into the kernels. `arguments` names the parameters passed at
    each call, by default those that are learnable and have no value here; each is one number for the whole tensor, or
    a tensor that broadcasts to x. One without a default needs a value here even so, a typical one for the generator to
    try. The derivative at a kink is chosen by `subgradient`, as in `generate`.

    Differentiable twice with respect to x, once with respect to arguments; in reverse mode. Asked twice for the same,
    the first is returned. Raises `InvalidRequest` for unknown words and for a value of a parameter that is an argument,
    `InvalidActivation` and `InvalidSubgradient` as `generate` does. Kernels are generated at the first call with a
    dtype.
    """
    definition = named(activation) if isinstance(activation, str) else activation
    if arguments is None:
        arguments = [symbol.name for symbol in passed_symbols(definition, None) if symbol.name not in parameters]
    passed = _names(definition, arguments)
    defaults = {parameter.name for parameter in definition.parameters if parameter.default is not None}
    pointless = sorted(defaults.intersection(parameters, passed))
    if pointless:
        raise InvalidRequest(
            f"{definition.name}: {pointless[0]} is passed at each call, so a value for it here means nothing; leave "
            "the value out, or leave the name out of `arguments` to fold it"
        )
    return _function(_setting(definition, accuracy, subgradient, passed, parameters))


def as_module(
    activation: str | Activation,
    *,
    accuracy: str = "precise",
    subgradient: Policy = "least-norm",
    arguments: Iterable[str] | None = None,
    channels: int | None = None,
    axis: int = 1,
    device: Any = None,
    dtype: Any = None,
    **parameters: Number,
) -> Module:
    """The activation as a module, to be put where `torch.nn.GELU()` or `torch.nn.PReLU()` stood.

    The parameters of the definition that are learnable, or those that `arguments` names, are `torch.nn.Parameter`s of
    one element under their own names; the values in `parameters`, or the definition's defaults, are where they start.
    With `channels` each has so many elements, one for each place along `axis` of x: axis 1 by default, as in
    `torch.nn.PReLU(num_parameters=channels)`. The others are folded into the kernels. `device` and `dtype` are theirs,
    as in `torch.nn`. Raises what `as_function` does.
    """
    definition = named(activation) if isinstance(activation, str) else activation
    passed = _names(definition, arguments)
    function = _function(_setting(definition, accuracy, subgradient, passed, parameters))
    start = {symbol.name: float(value) for symbol, value in parameter_values(definition, parameters).items()}
    if channels is not None and (channels < 1 or not passed):
        what = "has no parameter that learns" if channels > 0 else f"cannot have {channels} of them"
        raise InvalidRequest(f"{definition.name} {what}; channels= says how many values each parameter has")
    return Module(function, start, channels=channels, axis=axis, device=device, dtype=dtype)


class Module(torch.nn.Module):  # type: ignore[misc]  # PyTorch's classes are Any to mypy, which reads none of it
    """A `Function` with its arguments as learnable parameters; made by `as_module`."""

    def __init__(
        self,
        function: Function,
        start: Mapping[str, float],
        *,
        channels: int | None = None,
        axis: int = 1,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.function, self.channels, self.axis = function, channels, axis
        for name in function.setting.arguments:
            value = torch.tensor(start[name], device=device, dtype=dtype or torch.get_default_dtype())
            self.register_parameter(name, torch.nn.Parameter(value if channels is None else value.repeat(channels)))

    def forward(self, x: Tensor) -> Tensor:
        """f(x), element by element; `InvalidRequest` where x has another number of places along the axis."""
        values = [(name, getattr(self, name)) for name in self.function.setting.arguments]
        if self.channels is None:
            return self.function(x, *[value for _, value in values])
        shapes = [beside(self.channels, tuple(x.shape), self.axis, name=name) for name, _ in values]
        return self.function(x, *[value.reshape(shape) for (_, value), shape in zip(values, shapes, strict=True)])

    def extra_repr(self) -> str:
        """What stands between the parentheses when the module is printed."""
        setting = self.function.setting
        values = [f"{name}={value}" for name, value in setting.folded]
        places = [] if self.channels is None else [f"channels={self.channels}", f"axis={self.axis}"]
        return ", ".join([setting.definition.name, *values, *places, setting.accuracy, f"at kinks: {setting.policy}"])


def _names(definition: Activation, arguments: Iterable[str] | None) -> tuple[str, ...]:
    """Names of the parameters that are passed at each call, in the order of the definition."""
    return tuple(str(symbol.name) for symbol in passed_symbols(definition, arguments))


def _setting(
    definition: Activation,
    accuracy: str,
    subgradient: Policy,
    arguments: tuple[str, ...],
    given: Mapping[str, Number],
) -> Setting:
    """One form for each meaning; what cannot be generated is refused now, not at the first call."""
    if accuracy not in ACCURACIES:
        raise InvalidRequest(f"accuracy {accuracy!r} is unknown; known: {', '.join(ACCURACIES)}")
    values = parameter_values(definition, given)
    folded = {symbol: value for symbol, value in values.items() if symbol.name not in arguments}
    tried = [one for one in definition.parameters if one.name in arguments and one.default is None]
    policy = conventions.resolved(definition, subgradient, folded)
    derivative(split(definition, folded), policy=policy, stated=definition.subgradients)
    chosen: Any = conventions.full_name(subgradient)
    if isinstance(subgradient, Mapping):
        pairs = ((sympy.sympify(at), exact(value)) for at, value in subgradient.items())
        chosen = tuple(sorted(pairs, key=sympy.default_sort_key))
    elif not isinstance(subgradient, str):
        chosen = exact(subgradient)
    return Setting(
        definition=definition,
        accuracy=accuracy,
        subgradient=chosen,
        folded=tuple((str(symbol.name), value) for symbol, value in folded.items()),
        arguments=arguments,
        typical=tuple((parameter.name, values[parameter.symbol]) for parameter in tried),
    )


@functools.cache
def _function(setting: Setting) -> Function:
    """The function of a setting; its operators are registered the first time."""
    return Function(setting, _register(setting))


def _register(setting: Setting) -> Any:
    """Registers the operators of a setting with PyTorch, each with its own derivative; returns the forward one."""
    name, arguments = setting.name, setting.arguments
    second = _define(setting, f"{name}_second_derivative", "second-derivative", ("x",))
    backward = _define(setting, f"{name}_backward", "backward", ("grad", "x"))
    by_parameter = [
        _define(setting, f"{name}_parameter_gradient_{argument}", f"parameter-gradient:{argument}", ("grad", "x"))
        for argument in arguments
    ]
    forward = _define(setting, name, "forward", ("x",))
    final = _final(setting) if arguments else None
    together = _define_together(setting, f"{name}_{PARAMETERS.replace('-', '_')}") if arguments else None

    def keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    def held(value: Tensor) -> Tensor:
        """The same numbers, for an operator whose derivative by them there is no kernel for."""
        return final(value) if final is not None and torch.is_grad_enabled() and value.requires_grad else value

    def of_forward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *values = ctx.saved_tensors
        by_x, *by_values = ctx.needs_input_grad
        if together is None or not any(by_values):
            return backward(grad, x, *map(held, values)) if by_x else None, *(None for _ in values)
        dx, *gradients = together(grad, x, *map(held, values))
        return dx if by_x else None, *(
            gradient.to(value) if needed else None
            for gradient, value, needed in zip(gradients, values, by_values, strict=True)
        )

    def keep_apart(ctx: Any, inputs: tuple[Tensor, ...], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)  # to tell results that nobody uses
        ctx.save_for_backward(*inputs)

    def of_together(ctx: Any, by_dx: Tensor | None, *by_gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        before, x, *values = ctx.saved_tensors
        by_grad, by_x, *by_values = ctx.needs_input_grad
        parts = []
        if by_grad and by_dx is not None:
            parts.append(backward(by_dx, x, *map(held, values)))
        for operator, incoming, value in zip(by_parameter, by_gradients, values, strict=True):
            if incoming is not None and by_x:
                raise _mixed(setting)
            if incoming is not None and by_grad:
                spread = _beside(incoming, value, x).to(x.dtype).expand(x.shape)
                parts.append(operator(spread, x, *map(held, values)))
        return (
            sum(parts[1:], parts[0]) if parts else None,
            by_dx * second(x, *values) * before if by_x and by_dx is not None else None,
            *_to_be_refused(values, by_values),
        )

    def of_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        before, x, *values = ctx.saved_tensors
        by_grad, by_x, *by_values = ctx.needs_input_grad
        return (
            backward(grad, x, *map(held, values)) if by_grad else None,
            grad * second(x, *values) * before if by_x else None,
            *_to_be_refused(values, by_values),
        )

    def of_parameter_gradient(operator: Any) -> Callable[..., tuple[Tensor | None, ...]]:
        def formula(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
            _, x, *values = ctx.saved_tensors
            by_grad, *others = ctx.needs_input_grad
            result = operator(grad, held(x), *map(held, values)) if by_grad else None
            return result, *_to_be_refused([x, *values], others)

        return formula

    def of_second(ctx: Any, grad: Tensor) -> None:
        raise InvalidRequest(
            f"{name}: the third derivative has no kernel; differentiate at most twice, or detach() the second one"
        )

    torch.library.register_autograd(f"{NAMESPACE}::{name}", of_forward, setup_context=keep)
    torch.library.register_autograd(f"{NAMESPACE}::{name}_backward", of_backward, setup_context=keep)
    torch.library.register_autograd(f"{NAMESPACE}::{name}_second_derivative", of_second)
    if together is not None:
        torch.library.register_autograd(
            f"{NAMESPACE}::{name}_{PARAMETERS.replace('-', '_')}", of_together, setup_context=keep_apart
        )
    for argument, operator in zip(arguments, by_parameter, strict=True):
        torch.library.register_autograd(
            f"{NAMESPACE}::{name}_parameter_gradient_{argument}", of_parameter_gradient(operator), setup_context=keep
        )
    return forward


def _to_be_refused(values: Iterable[Tensor], needed: Iterable[bool]) -> list[Tensor | None]:
    """Gradients on their way to `_final`, which refuses them if anybody asks; else nothing is known to be wrong."""
    return [torch.zeros_like(value) if asked else None for value, asked in zip(values, needed, strict=True)]


def _final(setting: Setting) -> Any:
    """An operator that copies its input, and whose derivative is a refusal.

    Whether a mixed second derivative is wanted shows only when autograd comes back to the input: to refuse it where
    the first derivative is taken would refuse the second derivative with respect to x as well.
    """
    name = f"{NAMESPACE}::{setting.name}_final"

    def refuse(ctx: Any, grad: Tensor) -> None:
        raise _mixed(setting)

    torch.library.define(name, "(Tensor x) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
    torch.library.impl(name, "default", torch.clone)
    torch.library.register_fake(name, torch.clone)
    torch.library.register_autograd(name, refuse)
    torch.library.register_vmap(name, lambda info, in_dims, x: (operator(x), in_dims[0]))
    operator: Any = getattr(torch.ops.relusym, f"{setting.name}_final").default
    return operator


def _mixed(setting: Setting) -> InvalidRequest:
    """What there is no kernel for."""
    return InvalidRequest(
        f"{setting.definition.name}: second derivatives that involve the argument {', '.join(setting.arguments)} "
        f"have no kernel; fold the value in with as_function({setting.definition.name!r}, arguments=(), ...), or "
        "detach() the argument"
    )


def _beside(gradient: Tensor, value: Tensor, x: Tensor) -> Tensor:
    """A tensor of a parameter's shape in one that broadcasts to x, whatever the shape of one element is."""
    return gradient.reshape(()) if value.numel() == 1 else gradient


def _define_together(setting: Setting, name: str) -> Any:
    """The operator of dx and the gradients of all arguments, summed to their shapes."""
    arrays, count = ("grad", "x"), len(setting.arguments)
    qualified = f"{NAMESPACE}::{name}"

    @functools.cache
    def kernel(dtype: torch.dtype, device: str) -> Callable[..., None]:
        made = setting.kernel(PARAMETERS, dtype, "cuda" if device == "cuda" else None)
        return _sums_on_gpu(made) if device == "cuda" else _sums_on_cpu(made)

    def shape_alone(*tensors: Tensor) -> tuple[Tensor, ...]:
        x = _checked(name, arrays, tensors)
        wide = torch.float64 if x.dtype is torch.float64 else torch.float32
        return torch.empty_like(x), *(torch.empty(value.shape, dtype=wide, device=x.device) for value in tensors[2:])

    def run(*tensors: Tensor) -> tuple[Tensor, ...]:
        results = shape_alone(*tensors)
        grad, x, *values = tensors
        kernel(x.dtype, x.device.type)([grad, x], [_beside(value, value, x) for value in values], list(results))
        return results

    def batched(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Any, ...]:
        parts = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims, strict=True)
        ]
        dims = (0,) * (1 + count)
        if not info.batch_size:  # there is nothing to stack
            wide = torch.float64 if parts[1].dtype is torch.float64 else torch.float32
            return (torch.empty_like(parts[1]), *(torch.empty_like(value, dtype=wide) for value in parts[2:])), dims
        found = [operator(*one) for one in zip(*parts, strict=True)]
        return tuple(torch.stack(some) for some in zip(*found, strict=True)), dims

    schema = ", ".join(f"Tensor {argument}" for argument in (*arrays, *setting.arguments))
    results = ", ".join(["Tensor"] * (1 + count))
    torch.library.define(qualified, f"({schema}) -> ({results})", tags=(torch.Tag.pt2_compliant_tag,))
    torch.library.impl(qualified, "default", run)
    torch.library.register_fake(qualified, shape_alone)
    torch.library.register_vmap(qualified, batched)
    operator: Any = getattr(torch.ops.relusym, name).default
    return operator


def _define(setting: Setting, name: str, computes: str, arrays: tuple[str, ...]) -> Any:
    """One operator: its schema, what runs, what it makes of shapes alone, and how it is batched."""
    count = len(arrays)
    qualified = f"{NAMESPACE}::{name}"

    @functools.cache
    def kernel(dtype: torch.dtype, device: str) -> Run:
        if device == "cuda":
            return _on_gpu(setting.kernel(computes, dtype, "cuda"))
        return _on_cpu(setting.kernel(computes, dtype, None))

    @functools.cache
    def several(dtype: torch.dtype, device: str) -> Callable[..., None]:
        """For parameters of more than one value."""
        made = setting.kernel(computes, dtype, "cuda" if device == "cuda" else None)
        return _channels_on_gpu(made) if device == "cuda" else _channels_on_cpu(made)

    def run(*tensors: Tensor) -> Tensor:
        x = _checked(name, arrays, tensors)
        y = torch.empty_like(x)
        values = tensors[count:]
        if x.numel() and any(value.numel() != 1 for value in values):
            given = [_beside(value, value, x) for value in values]
            several(x.dtype, x.device.type)(list(tensors[:count]), given, y)
        elif x.numel():
            strides = y.stride()
            # the result is dense: elements of one layout lie in the same order, and a run of memory is all there is
            sources = [
                array if array.stride() == strides else torch.empty_like(y).copy_(array) for array in tensors[:count]
            ]
            kernel(x.dtype, x.device.type)(sources, [value.item() for value in values], y)
        return y

    def shape_alone(*tensors: Tensor) -> Tensor:
        return torch.empty_like(_checked(name, arrays, tensors))

    def batched(info: Any, in_dims: tuple[int | None, ...], *tensors: Tensor) -> tuple[Tensor, int]:
        parts = [
            tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
            for tensor, dim in zip(tensors, in_dims, strict=True)
        ]
        if all(dim is None for dim in in_dims[count:]):
            return operator(*parts[:count], *tensors[count:]), 0
        if not info.batch_size:  # there is nothing to stack
            return torch.empty_like(_checked(name, arrays, tuple(parts[:count]))), 0
        # a kernel takes one number: one call for each
        return torch.stack([operator(*one) for one in zip(*parts, strict=True)]), 0

    schema = ", ".join(f"Tensor {argument}" for argument in (*arrays, *setting.arguments))
    torch.library.define(qualified, f"({schema}) -> Tensor", tags=(torch.Tag.pt2_compliant_tag,))
    torch.library.impl(qualified, "default", run)
    torch.library.register_fake(qualified, shape_alone)
    torch.library.register_vmap(qualified, batched)
    operator: Any = getattr(torch.ops.relusym, name).default
    return operator


def _checked(name: str, arrays: tuple[str, ...], tensors: tuple[Tensor, ...]) -> Tensor:
    """x, when all tensors are what a kernel takes; raises `InvalidRequest` naming the one that is not."""
    x = tensors[len(arrays) - 1]
    if x.dtype not in DTYPES:
        raise InvalidRequest(
            f"{NAMESPACE}::{name} takes tensors of {', '.join(DTYPES.values())}, not {x.dtype}; convert x with x.to()"
        )
    if x.device.type not in ("cpu", "cuda", "meta"):
        raise InvalidRequest(f"{NAMESPACE}::{name} runs on cpu and cuda, not on {x.device}; move x with x.to('cpu')")
    if x.layout is not torch.strided:
        raise InvalidRequest(f"{NAMESPACE}::{name} takes dense tensors, not {x.layout}; convert x with x.to_dense()")
    for argument, array in zip(arrays[:-1], tensors, strict=False):
        if (array.dtype, array.device, array.shape) != (x.dtype, x.device, x.shape):
            raise InvalidRequest(
                f"{NAMESPACE}::{name}: {argument} is {array.dtype} of shape {tuple(array.shape)} on {array.device}, "
                f"but x is {x.dtype} of shape {tuple(x.shape)} on {x.device}; they must agree"
            )
    for value in tensors[len(arrays) :]:
        own = (1,) * (x.dim() - value.dim()) + tuple(value.shape)
        fits = len(own) == x.dim() and all(size in (1, whole) for size, whole in zip(own, x.shape, strict=True))
        if value.numel() != 1 and not fits:
            raise InvalidRequest(
                f"{NAMESPACE}::{name}: a parameter has the shape {tuple(value.shape)}, which does not broadcast to x "
                f"of the shape {tuple(x.shape)}; give one number, or one value for each place along an axis, in the "
                "shape (1, ..., n, ..., 1)"
            )
    return x


Run: TypeAlias = Callable[[list[Tensor], list[float], Tensor], None]
"""Computes from arrays and arguments into the last tensor; all tensors are dense and of one layout."""


def _on_cpu(kernel: Kernel) -> Run:
    function = kernel.load().function

    def run(arrays: list[Tensor], arguments: list[float], y: Tensor) -> None:
        function(*map(_as_numpy, arrays), *arguments, out=_as_numpy(y))

    return run


def _as_numpy(tensor: Tensor) -> Any:
    """The memory of a dense tensor as a NumPy array; in one dimension where its rows are not in order."""
    plain = tensor.detach()
    if not plain.is_contiguous():
        plain = plain.as_strided((plain.numel(),), (1,))
    if plain.dtype is torch.bfloat16:  # unknown to NumPy: its bits cross as integers
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def _on_gpu(kernel: Kernel) -> Run:
    launch = kernel.load().function.__globals__["launch"]

    def run(arrays: list[Tensor], arguments: list[float], y: Tensor) -> None:
        launch(
            tuple(array.data_ptr() for array in arrays),
            (y.data_ptr(),),
            y.numel(),
            device=y.device.index,
            stream=torch.cuda.current_stream(y.device).cuda_stream,
            arguments=tuple(arguments),
        )

    return run


def _channels_on_cpu(kernel: Kernel) -> Callable[..., None]:
    function = kernel.load().function

    def run(arrays: list[Tensor], values: list[Tensor], y: Tensor) -> None:
        function(*map(_elements, arrays), *map(_numbers, values), out=_elements(y))

    return run


def _sums_on_cpu(kernel: Kernel) -> Callable[..., None]:
    function = kernel.load().function

    def run(arrays: list[Tensor], values: list[Tensor], results: list[Tensor]) -> None:
        dx, *gradients = results
        shaped = [gradient.reshape(value.shape) for gradient, value in zip(gradients, values, strict=True)]
        function(*map(_elements, arrays), *map(_numbers, values), out=tuple(map(_elements, (dx, *shaped))))

    return run


def _elements(tensor: Tensor) -> Any:
    """A tensor as a NumPy array of its own shape and strides."""
    plain = tensor.detach()
    if plain.dtype is torch.bfloat16:  # unknown to NumPy: its bits cross as integers
        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def _numbers(value: Tensor) -> Any:
    """Values of a parameter, which may be of any dtype and on any device."""
    return np.asarray(value.detach().to("cpu", torch.float64).numpy())


def _vectors(kernel: Kernel, module: Mapping[str, Any], values: list[Tensor], x: Tensor) -> tuple[Any, list[Tensor]]:
    """(outer, channels, inner), and each parameter as a vector in the work format with a value for each channel."""
    shapes = [(name, tuple(value.shape)) for name, value in zip(kernel.arguments, values, strict=True)]
    sizes, union = module["_sizes"](tuple(x.shape), shapes)
    work = torch.float64 if kernel.work_format.name == "float64" else torch.float32
    spread = [value.detach().to(x.device, work).expand(union).contiguous().reshape(-1) for value in values]
    return sizes, spread


def _channels_on_gpu(kernel: Kernel) -> Callable[..., None]:
    module = kernel.load().function.__globals__

    def run(arrays: list[Tensor], values: list[Tensor], y: Tensor) -> None:
        sizes, vectors = _vectors(kernel, module, values, y)
        packed, filled = [array.contiguous() for array in arrays], y if y.is_contiguous() else y.contiguous()
        module["launch_channels"](
            [array.data_ptr() for array in packed],
            [filled.data_ptr()],
            sizes,
            [vector.data_ptr() for vector in vectors],
            device=y.device.index,
            stream=torch.cuda.current_stream(y.device).cuda_stream,
        )
        if filled is not y:
            y.copy_(filled)

    return run


def _sums_on_gpu(kernel: Kernel) -> Callable[..., None]:
    module = kernel.load().function.__globals__

    def run(arrays: list[Tensor], values: list[Tensor], results: list[Tensor]) -> None:
        dx, *gradients = results
        sizes, vectors = _vectors(kernel, module, values, dx)
        packed, filled = [array.contiguous() for array in arrays], dx if dx.is_contiguous() else dx.contiguous()
        # a number beside values for each channel has a sum for each of them, which are added here
        sums = [
            gradient if value.numel() == sizes[1] else torch.empty(sizes[1], dtype=gradient.dtype, device=dx.device)
            for gradient, value in zip(gradients, values, strict=True)
        ]
        module["launch"](
            [array.data_ptr() for array in packed],
            [filled.data_ptr(), *(one.data_ptr() for one in sums)],
            sizes,
            [vector.data_ptr() for vector in vectors],
            device=dx.device.index,
            stream=torch.cuda.current_stream(dx.device).cuda_stream,
        )
        for gradient, one in zip(gradients, sums, strict=True):
            if one is not gradient:
                gradient.copy_(one.sum().reshape(gradient.shape))
        if filled is not dx:
            dx.copy_(filled)

    return run


def _as_tensor(value: Tensor | float) -> Tensor:
    return value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=torch.float64)
