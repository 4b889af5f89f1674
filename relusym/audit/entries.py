"""What is audited: the functions of each framework, as data.

`torch.toml` lists what PyTorch has, one table a function:

    [[function]]
    function = "torch.nn.functional:gelu"     # module:name, looked up by getattr; for ONNX the operator's name
    keywords = { approximate = "tanh" }       # passed by name in every call
    arrays = { weight = 0.25 }                # passed by name as arrays of one element, of the dtype of x
    activation = "gelu_tanh"                  # of the catalogue; or formula = "abs(x)"
    parameters = { negative_slope = "1/100" } # exact values of the parameters
    note = "..."                              # where the framework's definition differs from the usual one

Nothing here says what is wrong with a function: that is for the judge to find out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module, resources
from typing import Any

import numpy as np

from relusym.activation import Activation, parameter_values
from relusym.activations import named
from relusym.errors import InvalidRequest, Missing
from relusym.floats import format_of
from relusym.judge.adapters import adapter_named
from relusym.parsing import parse

FRAMEWORKS: Mapping[str, str] = {
    "torch": "torch",
    "jax": "jax",
    "onnxruntime": "onnx",
    "tensorflow": "tensorflow",
    "numpy": "",
}
"""Frameworks that can be audited, each with the extra of relusym that installs it."""


@dataclass(frozen=True)
class Entry:
    """One function of a framework with the arguments it is called with, and which activation that is.

    `activation` is a name of the catalogue or, if that is empty, `formula` a definition in the grammar of `parse`;
    `parameters` are exact values as text. `keywords` and `arrays` are as in the data files.
    """

    function: str
    activation: str = ""
    formula: str = ""
    keywords: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, float] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def title(self) -> str:
        """The function as people write it: gelu(approximate='tanh')."""
        given = ", ".join(f"{name}={value!r}" for name, value in {**self.keywords, **self.arrays}.items())
        return self.dotted + (f"({given})" if given else "")

    @property
    def dotted(self) -> str:
        """Its full name with dots alone."""
        return self.function.replace(":", ".")

    @property
    def short(self) -> str:
        """The last part of its name, by which it can be asked for."""
        return self.dotted.rpartition(".")[2]

    def definition(self) -> Activation:
        """The activation that the function is held to; `InvalidActivation` or `InvalidRequest` for wrong data."""
        found = named(self.activation) if self.activation else parse(self.formula, name=self.short)
        parameter_values(found, self.parameters)
        return found

    def asked_for(self, name: str) -> bool:
        """Whether a user who types this name means this function: its own name, its full one, or the activation's."""
        return name.lower() in {text.lower() for text in (self.short, self.dotted, self.function, self.activation)}


@dataclass(frozen=True)
class Framework:
    """One framework: its adapter is that of the judge with the same name.

    `imports` is the first line of a reproducer, `wide` what has to be added to it for float64.
    """

    name: str
    entries: tuple[Entry, ...]
    imports: str = ""
    wide: str = ""

    def selected(self, names: Sequence[str]) -> tuple[Entry, ...]:
        """The entries that are meant by these names, all without any; `InvalidRequest` for a name that none has."""
        for name in names:
            if not any(entry.asked_for(name) for entry in self.entries):
                known = ", ".join(dict.fromkeys(entry.short for entry in self.entries))
                raise InvalidRequest(f"{self.name} has no function {name!r} to audit; known: {known}")
        return tuple(entry for entry in self.entries if not names or any(map(entry.asked_for, names)))


def framework_named(name: str) -> Framework:
    """What is known of this framework; `InvalidRequest` lists those there are."""
    if name not in FRAMEWORKS:
        raise InvalidRequest(f"there is nothing known of a framework {name!r}; known: {', '.join(FRAMEWORKS)}")
    content = tomllib.loads(resources.files("relusym.audit").joinpath(f"{name}.toml").read_text(encoding="utf-8"))
    entries = tuple(Entry(**table) for table in content.pop("function"))
    return Framework(name, entries, **content)


def callable_of(framework: str, entry: Entry, dtype: str) -> Any:
    """The function, bound to its arguments, as the judge takes it; for ONNX Runtime the operator as text.

    Raises `Missing` where the framework or, in this version of it, the function is not there.
    """
    if ":" not in entry.function:
        given = ", ".join(f"{name}={value!r}" for name, value in entry.keywords.items())
        return f"{entry.function}({given})" if given else entry.function
    home, _, path = entry.function.partition(":")
    try:
        found: Any = import_module(home)
    except ImportError as error:
        extra = FRAMEWORKS.get(framework, "")
        how = f"; install it with: pip install 'relusym[{extra}]'" if extra else ""
        raise Missing(f"{home} is not installed ({error}){how}") from None
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Missing(f"{entry.dotted} does not exist in the version installed") from None
    adapter, form = adapter_named(framework), format_of(dtype)
    arrays = {name: adapter.given(np.array([value]).astype(form.dtype)) for name, value in entry.arrays.items()}
    return partial(found, **entry.keywords, **arrays) if entry.keywords or arrays else found
