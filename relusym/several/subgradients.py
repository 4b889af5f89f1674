"""All generalised gradients of a function at one point, as a convex hull."""

from __future__ import annotations

from collections.abc import Mapping

from sympy import S

from relusym.activation import Activation, Number, exact, parameter_values
from relusym.calculus.hulls import Hull, Vector, hull
from relusym.errors import InvalidRequest, Undecided
from relusym.several import gates, maxima, values
from relusym.several.forms import AffineMaximum, Form, GatedUnit, form_of


def subdifferential_at(
    activation: Activation, point: Mapping[str, Number], parameters: Mapping[str, Number] | None = None
) -> Hull:
    """The Clarke subdifferential of a definition at a point, given by the names of its inputs; exact.

    A coordinate for each input; of a function of one input one for each value, which is the generalised Jacobian.
    Where the function has a gradient nearby that is continuous the hull is that one vector. Raises `InvalidRequest`
    for an input that is missing or unknown and where the function jumps, `InvalidActivation` for a coordinate that is
    no finite number, and `Undecided` where ties cannot be told, and for formulas of another form.
    """
    names = [str(symbol) for symbol in activation.inputs]
    at = _coordinates(activation.name, names, point)
    given = dict(parameters or {})
    form = form_of(activation, given, parameter_values(activation, given), "least-norm", S.One)
    if form is None:
        raise Undecided(
            f"{activation.name} is no maximum of affine functions, no product of an input and a function of another, "
            "and no list of functions of one input; subdifferentials are derived for these"
        )
    coordinates = names if len(names) > 1 else [f"y{number}" for number in range(1, len(activation.exprs) + 1)]
    return hull(coordinates, _limits(form, at))


def _limits(form: Form, at: Vector) -> tuple[Vector, ...]:
    """The limits of gradients next to a point."""
    if isinstance(form, AffineMaximum):
        return maxima.active(form, at)
    if isinstance(form, GatedUnit):
        return gates.limits(form, at)
    return values.jacobians(form, at[0])


def _coordinates(name: str, names: list[str], point: Mapping[str, Number]) -> Vector:
    missing = [one for one in names if one not in point]
    unknown = [str(one) for one in point if one not in names]
    if missing or unknown:
        told = [f"lacks {', '.join(missing)}"] if missing else []
        told += [f"names {', '.join(unknown)}, which it does not take"] if unknown else []
        raise InvalidRequest(f"{name}: the point {' and '.join(told)}; its inputs: {', '.join(names)}")
    return tuple(exact(point[one]) for one in names)
