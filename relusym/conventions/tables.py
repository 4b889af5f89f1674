"""The conventions beside each other: a row for each kink."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from sympy import Expr

from relusym.activation import Activation, parameter_values
from relusym.activations import NAMES
from relusym.calculus.subdifferentials import Kink, kinks, slopes
from relusym.conventions.holdings import Convention, Point, convention, full_name, latest, names
from relusym.conventions.policies import slope_of
from relusym.errors import InvalidActivation, InvalidRequest
from relusym.pieces import Pieces, split
from relusym.signs import equal, sign_of


@dataclass(frozen=True)
class Row:
    """One breakpoint of one function, in its parameters: the slopes around it and what each convention takes.

    `clarke` is None where f jumps, and both ends are the derivative where f has one. `taken` and `values` are by the
    name of the convention; `values` are those of f, stated at jumps. `outside` names the conventions whose slope is
    not in the interval. `default` is what relusym takes unasked.
    """

    activation: str
    at: Expr
    left: Expr
    right: Expr
    clarke: tuple[Expr, Expr] | None
    default: Expr
    value: Expr
    taken: dict[str, Expr]
    values: dict[str, Expr]
    outside: tuple[str, ...]

    @property
    def disputed(self) -> bool:
        """Whether two conventions take different slopes here."""
        first, *others = [*self.taken.values()] or [None]
        return any(equal(first, other) is not True for other in others)


@dataclass(frozen=True)
class Table:
    """Rows under the conventions they compare, in their order; `functions` are by convention and activation."""

    conventions: tuple[Convention, ...]
    rows: tuple[Row, ...]
    functions: dict[tuple[str, str], str]


def table(subjects: Sequence[str] = ()) -> Table:
    """Every kink on which a convention has something to say; `subjects` are activations or conventions to keep.

    The latest version of each framework unless a convention is named. A breakpoint where f is differentiable is left
    out where all of them take the derivative. Raises `InvalidRequest` for a name nobody holds.
    """
    chosen = [str(full_name(name)) for name in subjects if full_name(name) in names()]
    held = tuple(map(convention, dict.fromkeys(chosen or latest())))
    known = {entry.activation.name: entry.activation for name in names() for entry in convention(name).entries}
    wanted = [name for name in subjects if full_name(name) not in names()]
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, [*known, *names()], n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join([*known, *names()])}"
            if name in NAMES:
                hint = "it has no kink in any framework held"
            raise InvalidRequest(f"no convention says anything about {name!r}; {hint}")
    order = [*(name for name in NAMES if name in known), *(name for name in known if name not in NAMES)]
    shown = [known[name] for name in order if not wanted or name in wanted]
    functions = {
        (each.name, activation.name): entry.function
        for each in held
        for activation in shown
        if (entry := each.entry(activation))
    }
    return Table(held, tuple(row for activation in shown for row in _rows(activation, held)), functions)


def _rows(activation: Activation, held: Sequence[Convention]) -> list[Row]:
    pieces, general = _pieces(activation)
    uneven = kinks(pieces)
    found = []
    entries = {one.name: entry for one in held if (entry := one.entry(activation))}
    stated = next(iter(entries.values())).points if entries else ()
    for at, value in zip(pieces.breakpoints, pieces.values, strict=True):
        left, right = slopes(pieces, at)
        points = {name: _at(entry.points, at, activation, general) for name, entry in entries.items()}
        taken = {name: slope for name, point in points.items() if (slope := slope_of(point, left, right)) is not None}
        outside = tuple(name for name, point in points.items() if point.outside)
        kink = next((kink for kink in uneven if kink.at == at), None)
        if not points or (kink is None and not outside):
            continue
        found.append(
            Row(
                activation=activation.name,
                at=_at(stated, at, activation, general).at,
                left=left,
                right=right,
                clarke=(left, right) if kink is None else _clarke(kink, activation),
                default=left if kink is None else kink.chosen,
                value=value,
                taken=taken,
                values={name: point.value for name, point in points.items() if point.value is not None},
                outside=outside,
            )
        )
    return found


def _pieces(activation: Activation) -> tuple[Pieces, bool]:
    """For all parameters where their breakpoints are in one order, else at the default values."""
    try:
        return split(activation, {}), True
    except InvalidActivation:
        return split(activation, parameter_values(activation)), False


def _at(points: Sequence[Point], at: Expr, activation: Activation, general: bool) -> Point:
    values = {} if general else parameter_values(activation)
    return next(point for point in points if equal(point.at.xreplace(values), at))


def _clarke(kink: Kink, activation: Activation) -> tuple[Expr, Expr] | None:
    """The one-sided slopes, the one that is smaller at the default parameters first."""
    if kink.clarke is None:
        return None
    values = parameter_values(activation)
    rises = sign_of((kink.right - kink.left).xreplace(values)) != -1
    return (kink.left, kink.right) if rises else (kink.right, kink.left)
