"""What `check` is asked for: arguments that make no sense are refused by name, before any work is done."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

from sympy import Expr

from relusym import conventions
from relusym.activation import Activation
from relusym.calculus.subdifferentials import NAMED_POLICIES
from relusym.errors import InvalidRequest
from relusym.floats import FORMATS
from relusym.judge.metrics import Bound
from relusym.judge.several import TIES


def refuse_nonsense(
    activation: object,
    *,
    dtype: object,
    computes: object,
    parameters: object,
    subgradient: object,
    max_ulp: object,
    bound: object,
    within: object,
    in_place: object,
    strict: object,
    points: object,
    examples: object,
    seed: object,
) -> None:
    """`InvalidRequest` for arguments of the wrong kind, naming each; what a format or a framework is, others know."""
    if dtype is None:
        raise InvalidRequest(f"check: dtype is None; give one of {', '.join(FORMATS)}")
    if not isinstance(activation, Activation):
        raise InvalidRequest(f"check: activation is {type(activation).__name__}; give a name or a relusym.Activation")
    if not isinstance(computes, str):
        raise InvalidRequest(f"check: computes = {computes!r}; give the name of a quantity, such as 'forward'")
    if parameters is not None and not _names_values(parameters):
        raise InvalidRequest(f"check: parameters is {type(parameters).__name__}; give a mapping from names to values")
    if max_ulp is not None and bound is not None:
        raise InvalidRequest("check: give max_ulp or bound, not both")
    if bound is not None and not isinstance(bound, Bound):
        raise InvalidRequest(f"check: bound is {type(bound).__name__}; give a Bound, or max_ulp={bound}")
    if max_ulp is not None and not 0 <= _real(max_ulp) < math.inf:
        raise InvalidRequest(f"check: max_ulp = {max_ulp!r} is no bound; give a finite number that is not negative")
    if within is not None and not _real(within) >= 0:
        raise InvalidRequest(f"check: within = {within!r}; give the largest input at which accuracy is asked for")
    if in_place is not None and not callable(in_place):
        raise InvalidRequest(f"check: in_place is {type(in_place).__name__}, which is not callable")
    if strict not in (None, True, False):
        raise InvalidRequest(f"check: strict = {strict!r}; give True or False")
    for name, count in (("points", points), ("examples", examples), ("seed", seed)):
        if _integer(count) < 0 and (name, count) != ("points", None):
            raise InvalidRequest(f"check: {name} = {count!r}; give an integer that is not negative")
    if isinstance(subgradient, str):
        ties = () if activation.is_scalar else TIES
        named = (*dict.fromkeys((*ties, *NAMED_POLICIES, "any")), *conventions.names())
        if conventions.full_name(subgradient) not in named:
            raise InvalidRequest(
                f"check: subgradient {subgradient!r} is unknown; known: {', '.join(named)}, or a number"
            )
    elif not isinstance(subgradient, Real | Expr | Mapping):
        raise InvalidRequest(
            f"check: subgradient is {type(subgradient).__name__}; give the name of a policy, a number, or a mapping "
            "from kinks to numbers"
        )


def numbers_in(extra_points: Iterable[float]) -> list[float]:
    """The points as floats; `InvalidRequest` where they are none."""
    wrong = InvalidRequest(f"check: extra_points = {extra_points!r}; give a list of numbers, such as [20.0]")
    if isinstance(extra_points, str | bytes):
        raise wrong
    try:
        return [float(point) for point in extra_points]
    except (TypeError, ValueError, OverflowError):
        raise wrong from None


def _names_values(parameters: object) -> bool:
    return isinstance(parameters, Mapping) and all(isinstance(name, str) for name in parameters)


def _real(value: object) -> float:
    """NaN, which is in no bounds, for what is no real number."""
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan


def _integer(value: object) -> int:
    """-1 for what is no integer."""
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else -1
