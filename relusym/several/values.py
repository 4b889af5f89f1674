"""What is true of several functions of one input, taken together as a map to so many numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy
from sympy import Expr, Rational, S

from relusym.balls import combined, order, sign
from relusym.calculus.bounds import simplest, value_range
from relusym.calculus.hulls import Vector, hull
from relusym.calculus.moments import gain
from relusym.calculus.sets import compare
from relusym.errors import Undecided
from relusym.facts import Fact, Real, Value
from relusym.pieces import joined, value_at
from relusym.several.findings import Finding, number_of, point, refuted, settle, value_of
from relusym.several.forms import Values, pieces_of, slopes_around
from relusym.several.gates import degree_of
from relusym.several.recognition import same

_PLACES = tuple(map(Rational, (0, 1, -1, 2, -2, "1/2", "-1/2", 3, -3)))


def facts(form: Values, sigma: Expr) -> dict[str, Fact]:
    """All facts of a map of one input to several values, by their identifiers."""
    normal = f"{form.variable} normal with mean 0 and standard deviation {sigma}"
    claims: dict[str, tuple[str, Callable[[], Finding]]] = {
        "continuity_class": ("every value is C^k for this k, and not all for a larger one", lambda: _continuity(form)),
        "kinks": ("where a value has no derivative", lambda: _kinks(form)),
        "subdifferential": ("the Clarke generalised Jacobian", lambda: _subdifferential(form)),
        "monotonicity": ("each value rises or falls", lambda: _each(form, "monotonicity")),
        "injective": ("no two inputs have the same values", lambda: _injective(form)),
        "identities": ("equations between the values, for all inputs", lambda: _identities(form)),
        "homogeneity": ("the d with f(t x) = t^d f(x) for all t > 0", lambda: _homogeneity(form)),
        "range": ("all values, each by itself", lambda: _each(form, "range")),
        "lipschitz": ("the least L with |f(x) - f(y)| <= L |x - y|, for norms of the values", lambda: _lipschitz(form)),
        "gaussian_mean": (f"E of each value, {normal}", lambda: _each(form, "gaussian_mean")),
        "gaussian_second_moment": (
            f"E of the square of each value, and their mean, {normal}",
            lambda: _moments(form, "gaussian_second_moment", "mean", Rational(1, len(form.parts))),
        ),
        "gradient_second_moments": (
            f"E of the square of each derivative, and their sum, {normal}",
            lambda: _moments(form, "derivative_second_moment", "sum", S.One),
        ),
        "gain_forward": (
            f"1 / sqrt of the mean of the second moments, {normal}",
            lambda: _gain(_total(form, "gaussian_second_moment", Rational(1, len(form.parts)))),
        ),
        "gain_backward": (
            f"1 / sqrt of the sum of the second moments of the derivatives, {normal}",
            lambda: _gain(_total(form, "derivative_second_moment", S.One)),
        ),
    }
    return {name: settle(*claim) for name, claim in claims.items()}


def labels(form: Values) -> list[str]:
    """What the values are called: y1, y2, ..."""
    return [f"y{number}" for number in range(1, len(form.parts) + 1)]


def _each(form: Values, name: str) -> Finding:
    values: dict[str, Value] = {
        label: value_of(part.facts, name) for label, part in zip(labels(form), form.parts, strict=True)
    }
    return Finding(values, form.parts[0].facts[name].method)


def _continuity(form: Values) -> Finding:
    orders = [value_of(part.facts, "continuity_class") for part in form.parts]
    finite = [order for order in orders if isinstance(order, int)]
    return Finding(min(finite, default="infinity"), "the least of the values'")


def _kinks(form: Values) -> Finding:
    places = dict.fromkeys(f"{form.variable} = {kink.at}" for part in form.parts for kink in part.kinks)
    return Finding("; ".join(places) or "none", "the kinks of the values")


def _subdifferential(form: Values) -> Finding:
    said = []
    for at in dict.fromkeys(kink.at for part in form.parts for kink in part.kinks):
        if any(kink.at == at and kink.clarke is None for part in form.parts for kink in part.kinks):
            said.append(f"at {form.variable} = {at}: none")
            continue
        sides = jacobians(form, at)
        chosen = tuple(value_at(part.derivative, at) for part in form.parts)
        place = "in" if hull(labels(form), sides).contains(chosen) else "not in"
        ends = " and ".join(f"({point(side)})" for side in sides)
        said.append(
            f"at {form.variable} = {at}: between {ends}; ({point(chosen)}), chosen value by value, is {place} it"
        )
    text = "; ".join(said) + "; elsewhere the derivatives" if said else "the derivatives, everywhere"
    return Finding(text, "limits of the derivatives from both sides, and their convex hull")


def jacobians(form: Values, at: Expr) -> tuple[Vector, Vector]:
    """The derivatives of all values next to a point, on its left and on its right."""
    pairs = [slopes_around(part, at) for part in form.parts]
    return tuple(left for left, _ in pairs), tuple(right for _, right in pairs)


def _identities(form: Values) -> Finding:
    x, (exprs, names) = form.variable, (_exprs(form), labels(form))
    if len(exprs) != 2:
        raise Undecided("equations are looked for between two values")
    one, other = exprs
    sums: dict[str, tuple[Expr, Expr]] = {
        f"{names[0]} - {names[1]} = {x}": (one - other, x),
        f"{names[0]} + {names[1]} = {x}": (one + other, x),
        f"{names[0]} + {names[1]} = |{x}|": (one + other, abs(x)),
        f"|{names[0]}| + |{names[1]}| = |{x}|": (abs(one) + abs(other), abs(x)),
        f"{names[0]} {names[1]} = 0": (one * other, S.Zero),
        f"{names[0]}^2 + {names[1]}^2 = {x}^2": (one**2 + other**2, x**2),
    }
    return Finding(tuple(claim for claim, sides in sums.items() if same(*sides, x)), "both sides equal on every piece")


def _exprs(form: Values) -> list[Expr]:
    return [joined(part.pieces) for part in form.parts]


def _injective(form: Values) -> Finding:
    x = form.variable
    known = value_of({"identities": settle("identities", lambda: _identities(form))}, "identities")
    assert isinstance(known, tuple)
    for claim in known:
        if str(claim) in (f"y1 - y2 = {x}", f"y1 + y2 = {x}"):
            return Finding(True, f"the input is recovered: {claim}")
    directions = [value_of(part.facts, "monotonicity") for part in form.parts]
    for label, direction in zip(labels(form), directions, strict=True):
        if str(direction).startswith("strictly"):
            return Finding(True, f"{label} is {direction}")
    for n, one in enumerate(_PLACES):
        for other in _PLACES[:n]:
            pairs = [(value_at(part.pieces, one), value_at(part.pieces, other)) for part in form.parts]
            if all(sign(a - b) == 0 for a, b in pairs):
                return refuted(f"f({one}) = f({other}) = ({point([a for a, _ in pairs])})")
    raise Undecided("neither a way back nor two inputs with the same values were found")


def _homogeneity(form: Values) -> Finding:
    degrees = [degree_of(part.pieces) for part in form.parts]
    for label, degree in zip(labels(form), degrees, strict=True):
        if isinstance(degree, str):
            return refuted(f"{label} is not homogeneous: {degree.replace('g(', f'{label}(')}")
    first = degrees[0]
    assert isinstance(first, Expr)
    if any(degree != first for degree in degrees):
        return refuted(f"the degrees of the values are {', '.join(map(str, degrees))}")
    return Finding({"degree": first}, "so is each value")


def _lipschitz(form: Values) -> Finding:
    slopes = [number_of(part.facts, "lipschitz") for part in form.parts]
    largest = slopes[0]
    for slope in slopes[1:]:
        largest = slope if compare(slope, largest) > 0 else largest
    if largest is sympy.oo:
        return Finding({"2-norm": sympy.oo, "sup-norm": sympy.oo}, "a value jumps, or its slopes are unbounded")
    squares = sum((joined(part.derivative) ** 2 for part in form.parts), S.Zero)
    top = value_range(pieces_of(squares, form.variable)).components[-1].sup
    euclidean = sympy.sqrt(top) if isinstance(top, Expr) else combined("a root", lambda ball: ball.sqrt(), top)
    return Finding({"2-norm": euclidean, "sup-norm": largest}, "the supremum of the norm of the derivatives")


# --- normal inputs ---


def _total(form: Values, name: str, factor: Expr) -> Real:
    total: Real = S.Zero
    for part in form.parts:
        moment = number_of(part.facts, name)
        if isinstance(total, Expr) and isinstance(moment, Expr):
            total = total + moment
        elif not isinstance(total, Expr) or total != 0:
            total = combined("a sum of moments", lambda one, other: one + other, total, moment)
        else:
            total = moment
    if isinstance(total, Expr):
        return simplest(factor * total)
    return total if factor == 1 else combined("a mean of moments", lambda one, other: one * other, total, factor)


def _moments(form: Values, name: str, whole: str, factor: Expr) -> Finding:
    each = _each(form, name)
    assert isinstance(each.value, Mapping)
    return Finding({**each.value, whole: _total(form, name, factor)}, each.method)


def _gain(second_moment: Real) -> Finding:
    if order(second_moment, S.Zero) == 0:
        raise Undecided("the second moment is 0")
    return Finding(gain(second_moment), "1 / sqrt of the second moment")


# --- special cases ---


def special_cases(form: Values) -> dict[str, Fact]:
    """Which functions of the catalogue the values are."""
    found = {}
    for label, known in zip(labels(form), form.known, strict=True):
        if known is not None:
            claim = f"{label} = {known.of(form.variable)}"
            found[claim] = settle(claim, lambda: Finding(True, "the difference of both sides is 0 on every piece"))
    return found
