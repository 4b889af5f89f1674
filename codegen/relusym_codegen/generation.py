"""`generate`: the front door, from an activation to a kernel."""

from __future__ import annotations

import keyword
import re
import warnings as python_warnings
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import metadata

import sympy
from sympy import Expr, Symbol

from relusym import conventions
from relusym.activation import Activation, Number, parameter_values
from relusym.activations import named
from relusym.calculus.outputs import slope_by_output
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.floats import format_of
from relusym_codegen import compilers
from relusym_codegen.kernel import Kernel
from relusym_codegen.requests import Request, fused
from relusym_codegen.several import of_several
from relusym_codegen.signatures import PARAMETERS, SIGNATURES, signature_of
from relusym_codegen.target import Header, target_named

ACCURACIES = ("precise", "fast")


class UnsafeKernel(UserWarning):
    """A generated kernel has inputs where its formula overflows although the value does not."""


def generate(
    activation: str | Activation,
    target: str | None = None,
    dtype: str = "float32",
    computes: str = "forward",
    accuracy: str = "precise",
    subgradient: Policy = "least-norm",
    arguments: Iterable[str] | None = None,
    **parameters: Number,
) -> Kernel:
    """A kernel for one activation, target, dtype and quantity.

    `activation` is a name of the catalogue or an `Activation`; `target` is "numpy", "c" or "cuda", by default "c" where
    there is a C compiler and "numpy" where there is none. `parameters` are exact values ('0.1' is 1/10).
    `arguments` names the parameters passed at each call instead of being folded into the text; by default those
    that are learnable. `subgradient` is the derivative at kinks: a policy, a number, a number for each kink, or the
    name of a convention ("torch", "torch-2.13"). `accuracy` is "precise" (one rounding from a wider work format where
    there is one) or "fast". Warns `UnsafeKernel` where no rewrite is known against an overflow. Raises
    `InvalidRequest` for a name, dtype, target or quantity that does not exist, `InvalidActivation` for a parameter
    outside its domain and `InvalidSubgradient` for a choice outside the Clarke interval and where a convention has
    none.
    """
    definition = named(activation) if isinstance(activation, str) else activation
    language = target_named(target or default_target())
    form = format_of(dtype)
    if form.name not in language.dtypes:
        raise InvalidRequest(f"target {language.name!r} has no {dtype} kernels; it has {', '.join(language.dtypes)}")
    if accuracy not in ACCURACIES:
        raise InvalidRequest(f"accuracy {accuracy!r} is unknown; known: {', '.join(ACCURACIES)}")
    known_word = computes in (*SIGNATURES, PARAMETERS) or computes.startswith("parameter-gradient:")
    if definition.is_scalar and not known_word:
        known = (*SIGNATURES, PARAMETERS, "parameter-gradient:NAME")
        raise InvalidRequest(f"nobody knows how to compute {computes!r}; known: {', '.join(known)}")
    if not definition.name.isascii():
        raise InvalidRequest(f"the name {definition.name!r} is no identifier in C; use ASCII letters")
    values = parameter_values(definition, parameters)
    passed = passed_symbols(definition, arguments)
    if computes == PARAMETERS:
        _refuse_to_name_results(definition, passed)
    request = Request(language, definition, form, computes, accuracy, subgradient, values, passed)
    signature = signature_of(computes, tuple(map(str, passed))) if definition.is_scalar else None
    if signature is None:
        _refuse_to_name_inputs(definition)
        lowered, signature = of_several(request)
    else:
        lowered = fused(request.with_choices())
    formula = _formula(definition, values, passed)
    if computes == "backward-from-output":
        slope = slope_by_output(definition, values, request.with_choices().subgradient)
        formula += f", df/dx = {slope.expr.subs(slope.inputs[0], Symbol('y'))} at y = f(x)"
    header = Header(
        activation=definition.name,
        formula=_plain(f"f({', '.join(map(str, definition.inputs))}) = {formula}"),
        source=_plain(definition.source),
        computes=computes,
        dtype=form,
        accuracy=accuracy,
        choice=_plain(str(conventions.full_name(subgradient))),
        version=_version(),
        arguments=tuple(map(str, passed)),
        signature=signature,
    )
    for text in lowered.warnings:
        python_warnings.warn(text, UnsafeKernel, stacklevel=2)
    return Kernel(
        activation=definition,
        target=language.name,
        dtype=form.name,
        computes=computes,
        accuracy=accuracy,
        work_format=lowered.program.work_format,
        arguments=header.arguments,
        thresholds=lowered.thresholds,
        warnings=lowered.warnings,
        identifier=header.identifier,
        source=language.render(header, lowered.program),
        foreign=lowered.foreign,
        error=None if language.goal(form, accuracy, form) is None else lowered.error,
        program=lowered.program,
        signature=header.signature,
    )


def default_target() -> str:
    """The fastest target that runs on this machine's CPU."""
    return "numpy" if compilers.available() is None else "c"


_ARGUMENT = re.compile(r"(?![tbiv]\d+$|(?:at|q|size|magic|shift)\d$)(?!relusym_|RELUSYM_)[A-Za-z][A-Za-z0-9_]*")
_OURS = """
x grad bias residual total out y dx db dy n m np shape blocks block scratch mask aligned arrays array results
result given outs device finished cupy functools first stride packs k i range
"""
_OF_HEADERS = """
fabs fabsf fma fmaf memcpy size_t ptrdiff_t int8_t int16_t int32_t int64_t uint8_t uint16_t uint32_t uint64_t
INFINITY NAN NULL FLT_EVAL_METHOD linux unix blockIdx blockDim threadIdx gridDim warpSize
"""
_OF_LANGUAGES = """
alignas alignof and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class co_await
co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete
do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable
namespace new noexcept not_eq nullptr operator or_eq private protected public register reinterpret_cast requires
restrict return short signed sizeof static static_assert static_cast struct switch template this thread_local
throw true try typedef typeid typename typeof union unsigned using virtual void volatile wchar_t while xor
xor_eq
"""
_BESIDE_ARRAYS = frozenset(["begin", "index", "last", "parts", "tile", "DEPTH", "Pack"])
"""Names that no array can have: an argument gets another name in the text where it has one of them."""
_RESERVED = frozenset(" ".join((_OURS, _OF_HEADERS, _OF_LANGUAGES)).split())
"""Names that generated code gives to something else, those of its headers, and words of C and C++."""


def _plain(text: str) -> str:
    """Text for a comment or docstring of generated code: one line, no quotes, no backslash."""
    return re.sub(r"[\\\"'\x00-\x1f\x7f]", " ", " ".join(text.split()))


def passed_symbols(definition: Activation, given: Iterable[str] | None) -> tuple[Symbol, ...]:
    """The parameters passed at each call, in the order of the definition: those named, or those that are learnable.

    Raises `InvalidRequest` for a name that the definition lacks, or that no kernel can give to an argument.
    """
    if given is None:
        return tuple(parameter.symbol for parameter in definition.parameters if parameter.learnable)
    wanted = tuple(given)
    known = {parameter.name: parameter.symbol for parameter in definition.parameters}
    for name in wanted:
        if name not in known:
            raise InvalidRequest(
                f"{definition.name} has no parameter {name!r} to pass; its parameters: {', '.join(known) or 'none'}"
            )
    for name in wanted:
        if not _ARGUMENT.fullmatch(name) or name in _RESERVED or keyword.iskeyword(name):
            raise InvalidRequest(
                f"{definition.name}: no kernel argument can be called {name!r}, which means something else in "
                "generated code; give the parameter another name, or a value to fold"
            )
    return tuple(symbol for name, symbol in known.items() if name in wanted)


def _refuse_to_name_results(definition: Activation, passed: tuple[Symbol, ...]) -> None:
    """`InvalidRequest` where gradients of parameters are asked for, and there is none or none that can be named."""
    if not passed:
        names = [parameter.name for parameter in definition.parameters]
        what_to_do = f"name some: arguments={tuple(names)!r}, or --arguments {','.join(names)}" if names else ""
        raise InvalidRequest(
            f"{definition.name}: {PARAMETERS} gives the gradients of the parameters that are passed at each call, and "
            + (f"none is; {what_to_do}" if names else "it has none; take backward")
        )
    for symbol in passed:
        result = f"d{symbol.name}"
        taken = (_RESERVED - {"db"}) | set(map(str, passed))  # these kernels have no gradient of a bias
        if result in taken or keyword.iskeyword(result):
            raise InvalidRequest(
                f"{definition.name}: the gradient of {symbol.name} cannot be called {result!r}, which means something "
                "else in generated code; give the parameter another name, or a value to fold"
            )


def _refuse_to_name_inputs(definition: Activation) -> None:
    """`InvalidRequest` where no kernel can take arrays of the names that the inputs have."""
    if len(definition.inputs) == 1:
        return
    names = list(map(str, definition.inputs))
    results = {*_BESIDE_ARRAYS, *(f"d{name}" for name in names)}
    for place, name in enumerate(names):
        taken = name in _RESERVED or name in results or name in names[:place]
        if taken or not _ARGUMENT.fullmatch(name) or keyword.iskeyword(name):
            raise InvalidRequest(
                f"{definition.name}: no array of a kernel can be called {name!r}, which means something else in "
                "generated code; give the input another name"
            )


def _formula(definition: Activation, values: Mapping[Symbol, Expr], passed: tuple[Symbol, ...]) -> str:
    folded = {symbol: value for symbol, value in values.items() if symbol not in passed}
    settings = ", ".join(f"{symbol} = {value}" for symbol, value in folded.items())
    shown = definition.expr if not definition.others else definition.exprs
    return str(shown) + (f"  with {settings}" if settings else "")


@lru_cache(maxsize=1)
def _version() -> str:
    return f"relusym {metadata.version('relusym')}, SymPy {sympy.__version__}"
