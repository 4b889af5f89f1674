"""Convex hulls of exact points: what is inside is told from what is outside by any margin."""

from fractions import Fraction

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy import Rational, S, sqrt

from relusym.calculus.hulls import Hull, Vector, hull
from relusym.errors import InvalidActivation, InvalidRequest, Undecided

COORDINATE = st.fractions(min_value=-3, max_value=3, max_denominator=3).map(
    lambda number: Rational(number.numerator, number.denominator)
)


def dot(one: Vector, other: Vector) -> sympy.Expr:
    return sum((a * b for a, b in zip(one, other, strict=True)), S.Zero)


@st.composite
def clouds(draw: st.DrawFn, size: int = 6) -> list[Vector]:
    dimension = draw(st.integers(1, 4))
    point = st.tuples(*[COORDINATE] * dimension)
    return draw(st.lists(point, min_size=1, max_size=size))


def made(points: list[Vector]) -> Hull:
    return hull([f"c{n}" for n, _ in enumerate(points[0])], points)


@settings(deadline=None, max_examples=25)
@given(clouds(), st.data())
def test_a_convex_combination_is_inside(points: list[Vector], data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(0, 5), min_size=len(points), max_size=len(points)).filter(any))
    mean = [dot(tuple(map(sympy.Integer, weights)), column) / sum(weights) for column in zip(*points, strict=True)]
    assert made(points).contains(mean)


@settings(deadline=None, max_examples=25)
@given(clouds(), st.data())
def test_a_point_beyond_the_furthest_in_a_direction_is_outside(points: list[Vector], data: st.DataObject) -> None:
    direction = data.draw(st.tuples(*[COORDINATE] * len(points[0])))
    assume(any(direction))
    furthest = max(points, key=lambda point: dot(point, direction))
    beyond = [a + Rational(1, 10**30) * b for a, b in zip(furthest, direction, strict=True)]
    assert not made(points).contains(beyond)


@settings(deadline=None, max_examples=25)
@given(clouds())
def test_no_vertex_is_a_combination_of_the_others_and_every_point_is_one_of_them(points: list[Vector]) -> None:
    found = made(points)
    assert all(found.contains(point) for point in points)
    assert set(found.vertices) <= set(points)
    for vertex in found.vertices if len(found.vertices) > 1 else ():
        others = [other for other in found.vertices if other != vertex]
        assert not Hull(found.names, tuple(others)).contains(vertex)


@settings(deadline=None, max_examples=25)
@given(clouds(8))
def test_the_least_element_is_inside_and_no_point_lies_on_its_near_side(points: list[Vector]) -> None:
    """The condition of optimality: the hyperplane through the least element, across it, has the hull behind it."""
    found = made(points)
    least = found.least_norm
    assert found.contains(least)
    assert all(dot(least, point) >= dot(least, least) for point in points)


def test_a_segment_may_have_irrational_ends() -> None:
    found = hull("ab", [(sqrt(2), S.One), (-sqrt(2), S(3))])
    assert found.contains([0, 2])
    assert not found.contains([0, Fraction(2) + Fraction(1, 10**30)])
    assert found.contains([sqrt(2), 1])
    assert found.least_norm == (2 * sqrt(2) / 3, Rational(4, 3))


def test_three_irrational_points_are_left_undecided() -> None:
    with pytest.raises(Undecided, match="irrational"):
        hull("ab", [(sqrt(2), S.One), (S.One, sqrt(3)), (S.Zero, S.Zero)])
    with pytest.raises(Undecided, match="rational numbers only"):
        hull("ab", [(S.Zero, S.One), (S.One, S.Zero), (S.Zero, S.Zero)]).contains([sqrt(2) / 4, 0])


def test_a_float_means_the_number_it_is() -> None:
    unit = hull("a", [(S.Zero,), (Rational(1, 10),)])
    assert unit.contains(["0.1"])
    assert not unit.contains([0.1])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "x", None])
def test_what_is_no_finite_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidActivation, match="not a finite number"):
        hull("ab", [(S.Zero, S.One)]).contains([0, value])  # type: ignore[list-item]


def test_another_number_of_coordinates_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="3 coordinates; give 2, for a, b"):
        hull("ab", [(S.Zero, S.One)]).contains([0, 1, 0])


def test_a_hull_is_printed_by_its_vertices() -> None:
    corner = hull("ab", [(S.Zero, S.One), (S.One, S.Zero)])
    assert str(corner) == "conv{(0, 1), (1, 0)}"
    assert str(hull("ab", [(S.Zero, S.One)])) == "{(0, 1)}"
    assert r"\operatorname{conv}" in corner._repr_latex_()
