"""A definition as disjoint open intervals with smooth branches and explicit values at the breakpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import sympy
from sympy import Abs, Expr, Heaviside, Max, Min, Piecewise, Symbol, sign
from sympy.core.relational import Equality, Relational, Unequality
from sympy.logic.boolalg import ITE, And, Boolean, Not, Or

from relusym.activation import Activation
from relusym.domains import check_real_and_finite, sign_inside
from relusym.errors import InvalidActivation, Undecided
from relusym.signs import equal, sign_of, sort_exactly
from relusym.zeros import exact_zeros, singular_points

_SWITCHES = (Piecewise, Max, Min, Abs, sign, Heaviside)
_OPAQUE = (
    sympy.DiracDelta,
    sympy.floor,
    sympy.ceiling,
    sympy.Mod,
    sympy.Integral,
    sympy.Derivative,
    sympy.Sum,
)


@dataclass(frozen=True)
class Piece:
    """A branch that is smooth (no Piecewise, Max, Min, Abs, sign, Heaviside) inside the open interval."""

    expr: Expr
    lower: Expr
    upper: Expr


@dataclass(frozen=True)
class Pieces:
    """From left to right; `values[i]` is the value at `breakpoints[i]`, between pieces i and i + 1."""

    variable: Symbol
    pieces: tuple[Piece, ...]
    breakpoints: tuple[Expr, ...]
    values: tuple[Expr, ...]


def split(activation: Activation, values: Mapping[Symbol, Expr] | None = None) -> Pieces:
    """The definition as smooth pieces over the whole real line, exact.

    `values` replaces parameters first; the others stay symbols, and breakpoints are then ordered by the
    symbols' assumptions. Branches are taken as SymPy means them, the first true condition wins. Neighbours
    with the same branch and the fitting value between them are one piece.

    Raises `InvalidActivation`, naming the place and the remedy, for a gap, for two conditions that meet in
    one point and contradict each other there, for breakpoints that cannot be found or ordered, for a branch
    that is not real or not finite on its interval, and for an activation of several inputs or values.
    """
    if not activation.is_scalar:
        raise InvalidActivation(f"{activation.name}: has {activation.shape}; pieces of a line need one of each")
    expr = sympy.sympify(activation.expr).xreplace(dict(values or {}))
    return _Splitter(activation.name, activation.inputs[0]).split(expr)


@dataclass(frozen=True)
class _Splitter:
    """The walk over one definition; holds what its error messages name."""

    name: str
    variable: Symbol

    def split(self, expr: Expr) -> Pieces:
        if self.variable.is_extended_real is not True:
            raise self._error(f"the input {self.variable} is not real", "declare it Symbol(..., real=True)")
        if expr.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I):
            raise self._error(f"the formula {expr} is not a finite real number", "check the parameter values")
        opaque = [node for node in sympy.preorder_traversal(expr) if isinstance(node, _OPAQUE)]
        if opaque:
            raise self._error(f"{opaque[0]} is not supported", "write it with Piecewise")
        pieces = list(self._resolve(expr, -sympy.oo, sympy.oo))
        for piece in pieces:
            complain = partial(self._refuse_branch, piece.expr)
            check_real_and_finite(piece.expr, self.variable, piece.lower, piece.upper, complain)
        return self._merge(expr, pieces)

    def _error(self, what: str, remedy: str) -> InvalidActivation:
        return InvalidActivation(f"{self.name}: {what}; {remedy}")

    def _refuse_branch(self, branch: Expr, what: str) -> InvalidActivation:
        return self._error(
            f"the branch {branch} {what}",
            "give it another branch there, or a value at a single point: "
            f"Piecewise((value, {self.variable} == point), ({branch}, True)), in Python with Eq",
        )

    def _resolve(self, expr: Expr, lower: Expr, upper: Expr) -> Iterator[Piece]:
        """Pieces of `expr` in an interval: cut where a switch turns over, take its branch on each part."""
        node = _next_switch(expr, self.variable)
        if node is None:
            yield from self._cut_at_roots(expr, lower, upper)
            return
        cuts = self._cuts(_guards(node), lower, upper)
        ends = [lower, *cuts, upper]
        for left, right in pairwise(ends):
            branch = self._branch(node, left, right)
            yield from self._resolve(expr.xreplace({node: branch}), left, right)
        if isinstance(node, Piecewise):
            for left, place, right in zip(ends, cuts, ends[2:], strict=False):
                self._check_meeting(node, left, place, right)

    def _cut_at_roots(self, expr: Expr, lower: Expr, upper: Expr) -> Iterator[Piece]:
        # A root is not smooth where its argument vanishes: sqrt(x**2 - 2*x + 1) hides a kink at 1.
        roots = _roots(expr, self.variable)
        factored = expr.xreplace({root: sympy.factor(root.base) ** root.exp for root in roots})
        if _next_switch(factored, self.variable) is not None:
            yield from self._resolve(factored, lower, upper)
            return
        arguments = [root.base for root in roots]
        ends = [lower, *self._cuts(arguments, lower, upper, singular=False), upper]
        for left, right in pairwise(ends):
            yield Piece(expr, left, right)

    def _cuts(self, guards: list[Expr], lower: Expr, upper: Expr, *, singular: bool = True) -> list[Expr]:
        """Places inside the interval where a guard may change its sign, in order."""
        places: list[Expr] = []
        for guard in guards:
            if not guard.has(self.variable):
                continue
            try:
                zeros = exact_zeros(guard, self.variable)
                if singular:
                    zeros += singular_points(guard, self.variable)
            except Undecided as reason:
                raise self._error(
                    f"the places where {guard} = 0 cannot be found exactly ({reason})",
                    "give values to the parameters, or write the breakpoints as numbers",
                ) from None
            places += [place for place in zeros if place not in places]
        try:
            finite = [end for end in (lower, upper) if end.is_finite]
            ordered = sort_exactly(finite + places)
        except Undecided as reason:
            raise self._error(
                f"the order of its breakpoints is not known: {reason}",
                "give the parameters values, or symbols with assumptions such as positive=True",
            ) from None
        first = 0 if lower is -sympy.oo else ordered.index(_same(lower, ordered)) + 1
        last = len(ordered) if upper is sympy.oo else ordered.index(_same(upper, ordered))
        return ordered[first:last]

    def _branch(self, node: Expr, lower: Expr, upper: Expr) -> Expr:
        """The argument that a switch takes everywhere in an open interval in which no guard changes sign."""
        if isinstance(node, Piecewise):
            for branch, condition in node.args:
                if self._holds(condition, lower, upper):
                    return branch
            raise self._error(
                f"no branch covers the interval ({lower}, {upper})", "add a branch with the condition True"
            )
        if isinstance(node, Max | Min):
            largest = node.args[0]
            wanted = 1 if isinstance(node, Max) else -1
            for argument in node.args[1:]:
                if self._sign(argument - largest, lower, upper) == wanted:
                    largest = argument
            return largest
        direction = self._sign(node.args[0], lower, upper)
        if isinstance(node, Abs):
            return direction * node.args[0]
        if isinstance(node, sign):
            return sympy.Integer(direction)
        return node.args[1] if direction == 0 else sympy.Integer((direction + 1) // 2)

    def _sign(self, guard: Expr, lower: Expr, upper: Expr) -> int:
        check_real_and_finite(
            guard,
            self.variable,
            lower,
            upper,
            lambda what: self._error(f"the comparison of {guard} with 0 {what}", "restrict it by another branch"),
        )
        direction = sign_inside(guard, self.variable, lower, upper)
        if direction is None:
            raise self._error(
                f"the sign of {guard} in ({lower}, {upper}) is not known",
                "give the parameters values, or symbols with assumptions such as positive=True",
            )
        return direction

    def _holds(self, condition: Boolean, lower: Expr, upper: Expr) -> bool:
        """Whether a condition holds everywhere in the interval (it holds there everywhere or nowhere)."""
        if isinstance(condition, Relational):
            return _compare(condition, self._sign(condition.lhs - condition.rhs, lower, upper))
        return self._connect(condition, lambda part: self._holds(part, lower, upper))

    def _holds_at(self, condition: Boolean, place: Expr) -> bool:
        if isinstance(condition, Relational):
            difference = self._value(condition.lhs, place) - self._value(condition.rhs, place)
            direction = sign_of(difference)
            if direction is None:
                raise self._error(
                    f"whether {condition} at {self.variable} = {place} is not known",
                    "give the parameters values, or symbols with assumptions such as positive=True",
                )
            return _compare(condition, direction)
        return self._connect(condition, lambda part: self._holds_at(part, place))

    def _connect(self, condition: Boolean, holds: Callable[[Boolean], bool]) -> bool:
        if condition in (sympy.true, sympy.false):
            return bool(condition)
        if isinstance(condition, And):
            return all(holds(part) for part in condition.args)
        if isinstance(condition, Or):
            return any(holds(part) for part in condition.args)
        if isinstance(condition, Not):
            return not holds(condition.args[0])
        if isinstance(condition, ITE):  # what SymPy makes of a comparison with a Piecewise
            test, then, otherwise = condition.args
            return holds(then) if holds(test) else holds(otherwise)
        raise self._error(f"the condition {condition} is not understood", "use comparisons joined by And, Or and Not")

    def _check_meeting(self, node: Expr, left: Expr, place: Expr, right: Expr) -> None:
        """Refuse branches whose conditions overlap in one point only, with two values there.

        Overlaps on intervals are the usual cascade; x <= 0 beside x >= 0 is meant to agree at 0.
        """
        holding = [
            (branch, condition)
            for branch, condition in node.args
            if condition != sympy.true and self._holds_at(condition, place)
        ]
        for (first, one), (second, other) in pairwise(holding):
            sides = [(self._holds(one, *part), self._holds(other, *part)) for part in ((left, place), (place, right))]
            if sorted(sides) != [(False, True), (True, False)]:
                continue
            values = self._value(first, place), self._value(second, place)
            if equal(*values) is not True:
                raise self._error(
                    f"contradiction at {self.variable} = {place}: {one} gives {values[0]}, {other} gives {values[1]}",
                    "make one of the two conditions strict",
                )

    def _value(self, expr: Expr, place: Expr) -> Expr:
        """The definition at one point, evaluated branch by branch."""
        if not expr.has(self.variable):
            return expr
        if isinstance(expr, Piecewise):
            for branch, condition in expr.args:
                if self._holds_at(condition, place):
                    return self._value(branch, place)
            raise self._error(
                f"no branch covers the point {self.variable} = {place}", "make one of the conditions <= or >="
            )
        if not expr.args:
            return place
        values = [self._value(argument, place) for argument in expr.args]
        if isinstance(expr, Abs | sign | Heaviside) and sign_of(values[0]) == 0:
            values[0] = sympy.S.Zero
        return expr.func(*values)

    def _merge(self, expr: Expr, pieces: list[Piece]) -> Pieces:
        merged = [pieces[0]]
        breakpoints: list[Expr] = []
        values: list[Expr] = []
        for piece in pieces[1:]:
            place, before = piece.lower, merged[-1]
            value = self._value(expr, place)
            if value.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo) or value.is_real is False:
                raise self._error(
                    f"the value at {self.variable} = {place} is {value}",
                    f"give it one: Piecewise((value, {self.variable} == {place}), ...), in Python with Eq",
                )
            if self._continues(before.expr, piece.expr, place, value):
                merged[-1] = Piece(before.expr, before.lower, piece.upper)
            else:
                merged.append(piece)
                breakpoints.append(place)
                values.append(sympy.expand(value) if value.is_number else value)
        return Pieces(self.variable, tuple(merged), tuple(breakpoints), tuple(values))

    def _continues(self, before: Expr, after: Expr, place: Expr, value: Expr) -> bool:
        if sympy.expand(before - after) != 0:
            return False
        rooted = any(
            equal(root.base.subs(self.variable, place), sympy.S.Zero) for root in _roots(before, self.variable)
        )
        here = before.subs(self.variable, place)
        return not rooted and here.is_finite is not False and equal(here, value) is True


def _next_switch(expr: Expr, variable: Symbol) -> Expr | None:
    """A switch whose guards hold no other switch, the outermost such first; None in a smooth expression."""
    for node in sympy.preorder_traversal(expr):
        if isinstance(node, _SWITCHES) and node.has(variable):
            guarding = [condition for _, condition in node.args] if isinstance(node, Piecewise) else node.args
            for part in guarding:
                inner = _next_switch(part, variable)
                if inner is not None:
                    return inner
            return node
    return None


def _roots(expr: Expr, variable: Symbol) -> list[Expr]:
    """Powers with a positive fractional exponent."""
    return [
        power
        for power in sorted(expr.atoms(sympy.Pow), key=str)
        if power.base.has(variable) and power.exp.is_positive and not power.exp.is_integer
    ]


def _guards(node: Expr) -> list[Expr]:
    """The functions whose signs decide which branch a switch takes."""
    if isinstance(node, Piecewise):
        relations = [relation for _, condition in node.args for relation in condition.atoms(Relational)]
        return [relation.lhs - relation.rhs for relation in relations]
    if isinstance(node, Max | Min):
        arguments = node.args
        return [one - other for i, one in enumerate(arguments) for other in arguments[i + 1 :]]
    return [node.args[0]]


def _compare(relation: Relational, direction: int) -> bool:
    """Whether `lhs op rhs` for the sign of lhs - rhs."""
    if isinstance(relation, Equality):
        return direction == 0
    if isinstance(relation, Unequality):
        return direction != 0
    return {">": direction > 0, ">=": direction >= 0, "<": direction < 0, "<=": direction <= 0}[relation.rel_op]


def _same(point: Expr, ordered: list[Expr]) -> Expr:
    return next(other for other in ordered if other == point or sign_of(other - point) == 0)


def piece_at(pieces: Pieces, point: Expr) -> Piece:
    """The piece around a point (to its left, at a breakpoint); `Undecided` where it cannot be placed."""
    signs = [sign_of(point - place) for place in pieces.breakpoints]
    if None in signs:
        raise Undecided(f"{point} cannot be placed among the breakpoints")
    return pieces.pieces[signs.count(1)]


def value_at(pieces: Pieces, point: Expr) -> Expr:
    """The exact value of f at a point; `Undecided` where it cannot be placed among the breakpoints."""
    for place, value in zip(pieces.breakpoints, pieces.values, strict=True):
        if sign_of(point - place) == 0:
            return value
    return piece_at(pieces, point).expr.subs(pieces.variable, point)


def joined(pieces: Pieces) -> Expr:
    """The pieces as one SymPy Piecewise, with the value at every breakpoint."""
    variable = pieces.variable
    if not pieces.breakpoints:
        return pieces.pieces[0].expr
    branches: list[tuple[Expr, object]] = []
    for index, (place, value) in enumerate(zip(pieces.breakpoints, pieces.values, strict=True)):
        before, after = pieces.pieces[index].expr, pieces.pieces[index + 1].expr
        fits = _takes(before, variable, place, value)
        if before == after and fits:
            continue
        if fits:
            branches.append((before, variable <= place))
        elif _takes(after, variable, place, value):
            branches.append((before, variable < place))
        else:
            branches += [(before, variable < place), (value, sympy.Eq(variable, place))]
    # SymPy's own evaluation would merge rows and drop values
    return Piecewise(*branches, (pieces.pieces[-1].expr, True), evaluate=False)


def _takes(expr: Expr, variable: Symbol, place: Expr, value: Expr) -> bool:
    here = expr.subs(variable, place)
    return here.is_finite is not False and equal(here, value) is True
