"""Which conventions are held, and what their files say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from sympy import Expr, Symbol

from relusym.activation import Activation, Parameter, exact
from relusym.activations import named
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidSubgradient
from relusym.parsing import parse

SCHEMA = 1
SIDES = ("left", "right")
"""Values that are a one-sided slope without a short form of its own."""


@dataclass(frozen=True)
class Point:
    """What a framework does at one breakpoint; everything is exact, in the parameters of the activation.

    `slope` is the derivative that it returns, the word left or right for that one-sided slope, or None where it
    defines no derivative. `value` is f there, stated where f jumps. `outside` says that the slope is outside the
    Clarke interval (where f is differentiable, that it is not the derivative).
    """

    at: Expr
    slope: Expr | str | None
    value: Expr | None = None
    outside: bool = False


@dataclass(frozen=True)
class Entry:
    """One function of a framework, and which activation it is.

    `fixed` are the parameters for which the framework has one value only.
    """

    activation: Activation
    function: str
    fixed: Mapping[Symbol, Expr]
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Convention:
    """What one version of one framework does at kinks; `packages` are those it was obtained with."""

    framework: str
    version: str
    packages: Mapping[str, str]
    obtained: str
    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """As a policy: torch-2.13."""
        return f"{self.framework}-{self.version}"

    @property
    def defines_slopes(self) -> bool:
        """Whether it says anything about derivatives."""
        return any(point.slope is not None for entry in self.entries for point in entry.points)

    def entry(self, activation: Activation) -> Entry | None:
        """What is said of this function, found by its formula and never by its name alone; None where nothing is."""
        return next((entry for entry in self.entries if entry.activation.expr == activation.expr), None)


@cache
def names() -> tuple[str, ...]:
    """Names of all conventions held, by framework as a reader looks for them, versions ascending."""
    files = (path.name for path in resources.files(__package__).iterdir())
    found = (name.removesuffix(".json") for name in files if name.endswith(".json"))
    first = ("torch", "jax", "tensorflow")

    def place(name: str) -> tuple[int, str, list[int]]:
        framework, _, version = name.partition("-")
        known = first.index(framework) if framework in first else len(first)
        return known, framework, [int(part) for part in version.split(".")]

    return tuple(sorted(found, key=place))


def latest() -> tuple[str, ...]:
    """The name of the latest version held of each framework."""
    return tuple({name.partition("-")[0]: name for name in names()}.values())


def full_name(policy: Policy) -> Policy:
    """The convention with its version where the policy names one, else the policy as it is.

    Raises `InvalidSubgradient` for a version that is not held.
    """
    if not isinstance(policy, str):
        return policy
    held = {name.partition("-")[0]: name for name in names()}
    framework, dash, _ = policy.partition("-")
    if framework not in held:
        return policy
    if not dash:
        return held[framework]
    if policy not in names():
        versions = [name for name in names() if name.partition("-")[0] == framework]
        raise InvalidSubgradient(
            f"no convention is called {policy!r}; held: {', '.join(versions)}, and {framework!r} is the latest of them"
        )
    return policy


@cache
def convention(name: str) -> Convention:
    """The convention of this name, "torch" or "torch-2.13"; `InvalidSubgradient` lists those held."""
    full = full_name(name)
    if full not in names():
        raise InvalidSubgradient(f"no convention is called {name!r}; held: {', '.join(names())}")
    document = json.loads(resources.files(__package__).joinpath(f"{full}.json").read_text(encoding="utf-8"))
    assert document["schema"] == SCHEMA, f"{full}.json has schema {document['schema']}, this version reads {SCHEMA}"
    return Convention(
        framework=document["framework"],
        version=document["version"],
        packages=document["packages"],
        obtained=document["obtained"],
        entries=tuple(map(_entry, document["functions"])),
    )


def defined(described: Mapping[str, Any]) -> Activation:
    """The activation of an entry: of the catalogue, or the formula it gives with its parameters."""
    if "formula" not in described:
        return named(described["activation"])
    values = described.get("parameters", {})
    activation = parse(described["formula"], name=described["activation"])
    parameters = tuple(Parameter(one.symbol, values[one.name]) for one in activation.parameters)
    return Activation(activation.name, activation.expr, parameters=parameters, source=activation.source)


def expression(text: str, activation: Activation) -> Expr:
    """An exact expression in the parameters of the activation, read by the grammar of formulas."""
    symbols = {parameter.name: parameter.symbol for parameter in activation.parameters}
    read = parse(text)
    return read.expr.xreplace({one.symbol: symbols[one.name] for one in read.parameters})


def _entry(described: Mapping[str, Any]) -> Entry:
    activation = defined(described)
    symbols = {parameter.name: parameter.symbol for parameter in activation.parameters}
    return Entry(
        activation=activation,
        function=described["function"],
        fixed={symbols[name]: exact(value) for name, value in described.get("fixed", {}).items()},
        points=tuple(_point(point, activation) for point in described["breakpoints"]),
    )


def _point(described: Mapping[str, Any], activation: Activation) -> Point:
    slope = described.get("slope")
    return Point(
        at=expression(described["at"], activation),
        slope=slope if slope is None or slope in SIDES else expression(slope, activation),
        value=expression(described["value"], activation) if "value" in described else None,
        outside=described.get("outside", False),
    )
