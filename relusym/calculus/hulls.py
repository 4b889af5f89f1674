"""Convex hulls of finitely many exact points: their corners, what lies inside, what is nearest to the origin."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import sympy
from flint import fmpq, fmpq_mat
from sympy import Expr

from relusym.activation import Number, exact
from relusym.balls import sign
from relusym.errors import InvalidRequest, Undecided

Vector: TypeAlias = tuple[Expr, ...]

_Rational: TypeAlias = list[fmpq]


@dataclass(frozen=True)
class Hull:
    """All convex combinations of `vertices`, none of which is one of the others; a point where there is one vertex.

    `names` say what the coordinates belong to. What is asked of it is decided exactly: for rational vertices, and
    for any exact numbers where there are at most two of them.
    """

    names: tuple[str, ...]
    vertices: tuple[Vector, ...]

    def contains(self, vector: Sequence[Number]) -> bool:
        """Whether these exact numbers, a coordinate each, are a convex combination of the vertices.

        Raises `InvalidRequest` for another number of coordinates, `InvalidActivation` for what is no finite number,
        and `Undecided` where two exact numbers cannot be compared.
        """
        if len(vector) != len(self.names):
            raise InvalidRequest(f"{len(vector)} coordinates; give {len(self.names)}, for {', '.join(self.names)}")
        return _holds(self.vertices, tuple(map(exact, vector)))

    @functools.cached_property
    def least_norm(self) -> Vector:
        """The element nearest to the origin."""
        return _nearest(self.vertices)

    def __str__(self) -> str:
        points = ", ".join(f"({', '.join(map(str, vertex))})" for vertex in self.vertices)
        return f"conv{{{points}}}" if len(self.vertices) > 1 else f"{{{points}}}"

    def _repr_latex_(self) -> str:
        points = ", ".join(rf"\left({', '.join(map(sympy.latex, vertex))}\right)" for vertex in self.vertices)
        return rf"$\operatorname{{conv}}\left\{{{points}\right\}}$"


def hull(names: Sequence[str], points: Iterable[Sequence[Expr]]) -> Hull:
    """The convex hull of at least one point; `Undecided` for three or more with irrational coordinates."""
    distinct: list[Vector] = []
    for point in map(tuple, points):
        if not any(_same(point, other) for other in distinct):
            distinct.append(point)
    return Hull(tuple(names), tuple(_corners(distinct)))


def _same(one: Vector, other: Vector) -> bool:
    if _is_rational((one, other)):
        return one == other
    return all(_sign(a - b) == 0 for a, b in zip(one, other, strict=True))


def _sign(number: Expr) -> int:
    found = sign(number)
    if found is None:
        raise Undecided(f"the sign of {number} is not known")
    return found


def _is_rational(points: Iterable[Vector]) -> bool:
    return all(coordinate.is_Rational for point in points for coordinate in point)


def _corners(points: list[Vector]) -> list[Vector]:
    if len(points) <= 2:
        return points
    if not _is_rational(points):
        raise Undecided("the hull of three or more points with irrational coordinates is not decided here")
    if _is_simplex(list(map(_rational, points))):
        return points
    kept = list(points)
    for point in points:
        others = [other for other in kept if other is not point]
        if _holds(others, point):
            kept = others
    return kept


def _holds(vertices: Sequence[Vector], at: Vector) -> bool:
    if len(vertices) <= 2:
        return _on_segment(vertices[0], vertices[-1], at)
    if not (_is_rational(vertices) and _is_rational([at])):
        raise Undecided(f"whether ({', '.join(map(str, at))}) lies in the hull is decided for rational numbers only")
    moved = [_rational(tuple(a - b for a, b in zip(vertex, at, strict=True))) for vertex in vertices]
    return all(coordinate == 0 for coordinate in _least(moved))


def _nearest(vertices: Sequence[Vector]) -> Vector:
    if len(vertices) > 2:  # rational, see `hull`
        return tuple(sympy.Rational(int(c.p), int(c.q)) for c in _least(list(map(_rational, vertices))))
    one, other = vertices[0], vertices[-1]
    along = [b - a for a, b in zip(one, other, strict=True)]
    if all(_sign(step) == 0 for step in along):
        return one
    length = sum((step**2 for step in along), sympy.S.Zero)
    share = -sum((a * step for a, step in zip(one, along, strict=True)), sympy.S.Zero) / length
    if _sign(share) <= 0:
        return one
    if _sign(share - 1) >= 0:
        return other
    return tuple(sympy.expand(a + share * step) for a, step in zip(one, along, strict=True))


def _on_segment(one: Vector, other: Vector, at: Vector) -> bool:
    along = [b - a for a, b in zip(one, other, strict=True)]
    beyond = [b - a for a, b in zip(one, at, strict=True)]
    longest = next((n for n, step in enumerate(along) if _sign(step) != 0), None)
    if longest is None:
        return all(_sign(step) == 0 for step in beyond)
    share = beyond[longest] / along[longest]
    if _sign(share) < 0 or _sign(share - 1) > 0:
        return False
    return all(_sign(step - share * whole) == 0 for step, whole in zip(beyond, along, strict=True))


# --- rational points ---


def _rational(point: Vector) -> _Rational:
    return [fmpq(int(coordinate.p), int(coordinate.q)) for coordinate in point]


def _dot(one: _Rational, other: _Rational) -> fmpq:
    return sum((a * b for a, b in zip(one, other, strict=True)), fmpq(0))


def _least(points: list[_Rational]) -> _Rational:
    """The point of least norm in a hull (Wolfe 1976, "Finding the nearest point in a polytope").

    Kept are affinely independent points and positive weights; the next point is one beyond the hyperplane through
    the present best. In exact arithmetic it ends: the norm falls with every step, and there are finitely many sets.
    """
    if _is_simplex(points):  # and then often all are kept
        weights = _affine_weights(points)
        if all(weight >= 0 for weight in weights):
            return _combined(points, weights)
    kept = [min(range(len(points)), key=lambda n: _dot(points[n], points[n]))]
    weights = [fmpq(1)]
    while True:
        best = _combined([points[n] for n in kept], weights)
        furthest = min(range(len(points)), key=lambda n: _dot(best, points[n]))
        if _dot(best, points[furthest]) >= _dot(best, best):
            return best
        kept.append(furthest)
        weights.append(fmpq(0))
        while True:
            aim = _affine_weights([points[n] for n in kept])
            if all(weight > 0 for weight in aim):
                weights = aim
                break
            steps = [w / (w - v) for w, v in zip(weights, aim, strict=True) if v <= 0]
            share = min(steps)
            weights = [share * v + (1 - share) * w for w, v in zip(weights, aim, strict=True)]
            kept = [n for n, weight in zip(kept, weights, strict=True) if weight != 0]
            weights = [weight for weight in weights if weight != 0]


def _is_simplex(points: list[_Rational]) -> bool:
    """Whether no point is an affine combination of the others."""
    edges = [[a - b for a, b in zip(one, points[0], strict=True)] for one in points[1:]]
    return not edges or fmpq_mat(edges).rank() == len(edges)


def _combined(points: list[_Rational], weights: list[fmpq]) -> _Rational:
    return [
        sum((weight * point[n] for weight, point in zip(weights, points, strict=True)), fmpq(0))
        for n in range(len(points[0]))
    ]


def _affine_weights(points: list[_Rational]) -> list[fmpq]:
    """Weights with the sum 1, of either sign, of the point of least norm in the affine hull."""
    count = len(points)
    rows = [[fmpq(0), *[fmpq(1)] * count], *([fmpq(1), *(_dot(one, other) for other in points)] for one in points)]
    right = fmpq_mat([[fmpq(1)], *[[fmpq(0)]] * count])
    solved = fmpq_mat(rows).solve(right)
    return [solved[n + 1, 0] for n in range(count)]
