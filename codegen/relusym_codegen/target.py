"""`Target`: what a language needs to print a program - a table of rows, literals, a template, a loader."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from relusym.errors import InvalidRequest
from relusym.floats import FORMATS, Format
from relusym_codegen.arithmetic import DOUBLE, QUICK, Goal
from relusym_codegen.signatures import Signature

if TYPE_CHECKING:
    from relusym_codegen.kernel import Kernel
    from relusym_codegen.program import Program

TARGETS: Mapping[str, str] = {"numpy": "numpy", "c": "c", "cuda": "cuda", "cupy": "cuda"}
"""Names a user may give, and the file in targets/ that serves each."""


C_OPERATORS: Mapping[str, str] = {
    "neg": "-{0}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "max": "{0} < {1} ? {1} : {0}",
    "min": "{0} > {1} ? {1} : {0}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "select": "{0} ? {1} : {2}",
    "iand": "{0} & {1}",
    "shr": "{0} >> {1}",
}
"""Rows that all languages with the operators of C share, whatever the format."""


def wrapping(signed: str, unsigned: str) -> dict[str, str]:
    """Rows of integer operations, through unsigned integers, whose overflow such languages define."""
    operators = {"iadd": "+", "isub": "-", "shl": "<<"}
    return {name: f"({signed})(({unsigned}){{0}} {operator} ({unsigned}){{1}})" for name, operator in operators.items()}


@dataclass(frozen=True)
class Target:
    """A language and a machine.

    `rows` maps every operation of a program to text (see `emit`). `work_formats` lists, for an output dtype and an
    accuracy, the formats a program may compute in, cheapest first; `goal` says what arithmetic in one of them is to
    reach, None for a language whose elementary functions are called instead. `render` turns a finished program into
    the source of a module, `load` that source into callables. `sums_rows` says whether it has quantities that are
    summed over all axes but the last.
    """

    name: str
    dtypes: tuple[str, ...]
    rows: Mapping[str, Any]
    work_formats: Callable[[Format, str], tuple[Format, ...]]
    goal: Callable[[Format, str, Format], Goal | None]
    render: Callable[[Header, Program], str]
    load: Callable[[Kernel, str | None], Callable[..., Any]]
    suffixes: tuple[str, ...] = (".py",)
    sums_rows: bool = False


@dataclass(frozen=True)
class Header:
    """What a generated file says about itself, and the names it defines."""

    activation: str
    formula: str
    source: str
    computes: str
    dtype: Format
    accuracy: str
    choice: str
    version: str
    arguments: tuple[str, ...]
    signature: Signature

    @property
    def entry(self) -> str:
        """The function a user calls: forward, derivative, backward, ..."""
        return self.computes.partition(":")[0].replace("-", "_")

    @property
    def takes_gradient(self) -> bool:
        """Whether the first argument is the incoming gradient."""
        return "grad" in self.signature.arrays

    @property
    def inputs(self) -> tuple[str, ...]:
        """Arguments in the order of the call."""
        return (*self.signature.arrays, *self.arguments)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the results."""
        return self.signature.results

    @property
    def identifier(self) -> str:
        """A name unique among the kernels of one activation."""
        return f"{self.activation}_{self.computes}_{self.dtype.name}_{self.accuracy}".replace("-", "_").replace(
            ":", "_"
        )


def sum_format(form: Format) -> Format:
    """The format of sums over many elements: float32 for 16-bit kernels, where a sum of a million is soon infinite."""
    return FORMATS["float32"] if form.bits == 16 else form


_BESIDE_ROUNDING = 0.008
"""Ulps that arithmetic wider than the result may cost beside the last rounding: with it they make 0.508."""


def goal_of(form: Format, accuracy: str, work: Format) -> Goal:
    """What arithmetic reaches that holds no division and is no wider than float32 needs.

    The same for every target that asks for it, so that their programs are the same, bit for bit. The first-order sum
    of worst cases is twice and more what any input shows: in float32, where sweeps try them all, programs are chosen
    by what they show; in float64, where none can, the sum itself is held to.
    """
    if form.bits == 16:
        return Goal(form, (_BESIDE_ROUNDING,))
    if form.name == "float32" and accuracy == "precise":
        return Goal(form, (1.5, 1.2, 1.0, 0.85, 0.7, 0.6), 0.9, DOUBLE)
    if form.name == "float32":
        return Goal(form, (20.0, 14.0, 11.0, 9.0, 8.0, 7.0, 6.5, 6.0, 5.5, 5.0, 4.5, 4.0), 3.56)
    return Goal(form, (4.0,))


def goal_on_cpu(form: Format, accuracy: str, work: Format) -> Goal:
    """The same, but float32 to 0.51 ulp: in float64, where IEEE division is cheap, or in float32 where that does."""
    if form.name != "float32" or accuracy != "precise":
        return goal_of(form, accuracy, work)
    if work.name == "float32":
        return Goal(form, (0.5 + _BESIDE_ROUNDING,), None, DOUBLE)
    return Goal(form, (_BESIDE_ROUNDING,), None, QUICK, division=True)


def target_named(name: str) -> Target:
    """The target a user calls `name`; its file is imported now and not before."""
    if name not in TARGETS:
        raise InvalidRequest(f"target {name!r} is unknown; known: {', '.join(TARGETS)}")
    target: Target = importlib.import_module(f"relusym_codegen.targets.{TARGETS[name]}").TARGET
    return target
