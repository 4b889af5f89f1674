"""What is true of a gated unit, one input times a function g of the other, from what is known of g."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import combinations

import sympy
from sympy import Expr, Rational, S, Symbol

from relusym.activation import Activation
from relusym.balls import combined, sign
from relusym.calculus.bounds import simplest
from relusym.calculus.hulls import Vector
from relusym.calculus.moments import gain
from relusym.calculus.subdifferentials import is_continuous_at
from relusym.deadline import within
from relusym.errors import InvalidActivation, Undecided
from relusym.facts import Enclosed, Fact, Interval, Real, RealSet, Value
from relusym.pieces import Pieces, split, value_at
from relusym.printing import grammar_text
from relusym.several.findings import Finding, chord, names, number, number_of, refuted, settle, sign_known, value_of
from relusym.several.forms import GatedUnit, slopes_around
from relusym.several.recognition import recognised

_PLACES = tuple(map(Rational, (0, 1, -1, 2, -2, "1/2", "-1/2", 5, -5)))
_SECONDS = 2.0  # for one limit in a parameter


def facts(form: GatedUnit, sigma: Expr) -> dict[str, Fact]:
    """All facts of a gated unit by their identifiers."""
    a, b = str(form.factor), str(form.variable)
    normal = f"{a} and {b} independent, normal with mean 0 and standard deviation {sigma}"
    claims: dict[str, tuple[str, Callable[[], Finding]]] = {
        "continuity_class": ("f is C^k for this k and no larger one", lambda: _continuity(form)),
        "kinks": ("where f has no derivative", lambda: _kinks(form)),
        "subdifferential": ("the Clarke subdifferential at a point", lambda: _subdifferential(form)),
        "convex": ("f is convex", lambda: _bend(form, 1)),
        "concave": ("f is concave", lambda: _bend(form, -1)),
        "monotonicity": ("f rises or falls in each input, the other held", lambda: _monotonicity(form)),
        "homogeneity": ("the d with f(t z) = t^d f(z) for all t > 0", lambda: _homogeneity(form)),
        "range": ("all values of f", lambda: _range(form)),
        "lipschitz": ("the least L with |f(x) - f(y)| <= L |x - y|, for norms of the inputs", lambda: _lipschitz(form)),
        "lipschitz_on_a_box": (
            f"an L with |f(x) - f(y)| <= L |x - y| where |{a}| <= A and |{b}| <= B, in the 2-norm",
            lambda: _on_a_box(form),
        ),
        "gaussian_mean": (f"E f, {normal}", lambda: Finding(S.Zero, f"E {a} = 0, and {a} is independent of g({b})")),
        "gaussian_second_moment": (f"E f^2, {normal}", lambda: Finding(_second_moment(form, sigma), _PRODUCT)),
        "gradient_second_moments": (f"E (df/dz)^2 by input, and their sum, {normal}", lambda: _gradients(form, sigma)),
        "gain_forward": (f"1 / sqrt(E f^2), {normal}", lambda: _gain(_second_moment(form, sigma))),
        "gain_backward": (f"1 / sqrt(E |grad f|^2), {normal}", lambda: _gain(_square_of_gradient(form, sigma))),
    }
    return {name: settle(*claim) for name, claim in claims.items()}


_PRODUCT = "a product of independent factors; moments of g and g' as for an activation of one input"


def _continuity(form: GatedUnit) -> Finding:
    return Finding(value_of(form.gate.facts, "continuity_class"), f"that of g, which is f at {form.factor} = 1")


def _kinks(form: GatedUnit) -> Finding:
    """Where g is continuous, a (g(b) - g(b0)) is small beside a itself: at a = 0 there is a gradient."""
    pieces, places = form.gate.pieces, []
    for kink in form.gate.kinks:
        place = f"{form.variable} = {kink.at}"
        places.append(f"{place}, {form.factor} != 0" if is_continuous_at(pieces, kink.at) else place)
    return Finding("; ".join(places) or "none", "the kinks of g; where g is continuous f has a gradient at 0 times g")


def _subdifferential(form: GatedUnit) -> Finding:
    """Limits of (g(b), a g'(b)), whose first coordinate is continuous where g is."""
    a, b = form.factor, form.variable
    said = []
    for kink in form.gate.kinks:
        if kink.clarke is None:
            said.append(f"at {b} = {kink.at}: none")
            continue
        low, high = kink.clarke
        at = value_at(form.gate.pieces, kink.at)
        said.append(
            f"at {b} = {kink.at}: df/d{a} = {number(at)} and df/d{b} = {a} s, {number(low)} <= s <= {number(high)}"
        )
    text = "; ".join(said) + "; elsewhere the gradient" if said else "the gradient, everywhere"
    return Finding(text, f"limits of (g({b}), {a} g'({b})) and their convex hull")


def limits(form: GatedUnit, at: Vector) -> tuple[Vector, ...]:
    """The limits of gradients next to a point: (g(b), a s) for both one-sided slopes s of g."""
    coordinates = dict(zip(form.inputs, at, strict=True))
    factor, place = coordinates[form.factor], coordinates[form.variable]
    here = value_at(form.gate.pieces, place)
    return tuple(_point(form, here, factor * slope) for slope in slopes_around(form.gate, place))


def _point(form: GatedUnit, factor: Expr, at: Expr) -> Vector:
    """Both coordinates, in the order of the inputs."""
    return tuple(factor if symbol == form.factor else at for symbol in form.inputs)


def _value(form: GatedUnit, at: Vector) -> Expr:
    coordinates = dict(zip(form.inputs, at, strict=True))
    return coordinates[form.factor] * value_at(form.gate.pieces, coordinates[form.variable])


def _is_constant(form: GatedUnit) -> bool:
    return value_of(form.gate.facts, "monotonicity") == "constant"


def _bend(form: GatedUnit, wanted: int) -> Finding:
    """Between (t, b1) and (-t, b2) the middle has the factor 0: a chord that cuts the graph wherever g(b1) != g(b2)."""
    if _is_constant(form):
        return Finding(True, "g is constant: f is linear")
    g = partial(value_at, form.gate.pieces)
    for one, other in combinations(_PLACES, 2):
        rise = sign(g(other) - g(one))
        if rise:
            t = sympy.Integer(rise * wanted)
            side, words = chord(partial(_value, form), _point(form, t, one), _point(form, -t, other))
            assert side == wanted
            return refuted(words)
    raise Undecided("no two values of g that differ were found")


def _monotonicity(form: GatedUnit) -> Finding:
    signs = value_of(form.gate.facts, "sign")
    zeros = value_of(form.gate.facts, "zeros")
    assert isinstance(signs, Mapping)
    assert isinstance(zeros, RealSet)
    there = {word: isinstance(part, RealSet) and bool(part.components) for word, part in signs.items()}
    strictly = "" if zeros.components else "strictly "
    if there["positive"] and there["negative"]:
        by_factor = "none"
    elif there["positive"] or there["negative"]:
        by_factor = f"{strictly}{'increasing' if there['positive'] else 'decreasing'}"
    else:
        by_factor = "constant"
    by_gate = "constant" if _is_constant(form) else "none"
    method = f"the sign of g; and {form.factor} g({form.variable}) turns over with the sign of {form.factor}"
    return Finding({str(form.factor): by_factor, str(form.variable): by_gate}, method)


def _homogeneity(form: GatedUnit) -> Finding:
    degree = degree_of(form.gate.pieces)
    if isinstance(degree, str):
        return refuted(f"g, which is f at {form.factor} = 1, is not homogeneous: {degree}")
    return Finding({"degree": 1 + degree}, f"g(t {form.variable}) = t^{number(degree)} g({form.variable})")


def degree_of(pieces: Pieces) -> Expr | str:
    """The d with g(t b) = t^d g(b) for all t > 0, or a witness that there is none; `Undecided` where it is open."""
    for place in _PLACES:
        once, twice, again = (value_at(pieces, factor * place) for factor in (1, 2, 4))
        if sign(twice**2 - once * again):
            return f"g({2 * place})^2 = {number(twice**2)}, g({place}) g({4 * place}) = {number(once * again)}"
    degrees = {_degree(piece.expr, pieces.variable) for piece in pieces.pieces if piece.expr != 0}
    places = (*pieces.breakpoints, *pieces.values)  # the values at 0
    centred = all(sign_known(number) == 0 for number in places)
    if len(degrees) != 1 or not centred:
        raise Undecided("neither a degree of g nor a witness against one was found")
    return degrees.pop()


def _degree(expr: Expr, variable: Symbol) -> Expr:
    """Of one branch: the d with b g' = d g, by Euler."""
    degree = within(_SECONDS, lambda: sympy.simplify(variable * expr.diff(variable) / expr))
    if not degree.is_number:
        raise Undecided(f"{expr} is not seen to be homogeneous")
    return degree


def _range(form: GatedUnit) -> Finding:
    g = form.gate.pieces
    if any(sign(value_at(g, place)) for place in _PLACES):
        return Finding(
            RealSet((Interval(-sympy.oo, sympy.oo, False, False),)), f"g is not 0 everywhere, and {form.factor} is free"
        )
    raise Undecided("no place was found where g is not 0")


def _lipschitz(form: GatedUnit) -> Finding:
    if _is_constant(form):
        size = abs(value_at(form.gate.pieces, S.Zero))
        return Finding({"2-norm": size, "sup-norm": size}, "f is linear")
    return Finding(
        {"2-norm": sympy.oo, "sup-norm": sympy.oo},
        f"the derivative by {form.variable} is {form.factor} g'({form.variable}), and {form.factor} is unbounded",
    )


def _on_a_box(form: GatedUnit) -> Finding:
    slope = number_of(form.gate.facts, "lipschitz")
    if slope is sympy.oo:
        return Finding("none", "g jumps, or its slopes are unbounded")
    factor, width = (Symbol(letter, nonnegative=True) for letter in "AB")
    size = slope if isinstance(slope, Expr) else Symbol("L", nonnegative=True)
    bound = sympy.sqrt((abs(value_at(form.gate.pieces, S.Zero)) + size * width) ** 2 + (size * factor) ** 2)
    value: dict[str, Value] = {"2-norm": bound} if isinstance(slope, Expr) else {"2-norm": bound, "L": slope}
    box = f"for |{form.factor}| <= A and |{form.variable}| <= B"
    return Finding(value, f"{box}: |g| <= |g(0)| + L B and |g'| <= L, the Lipschitz constant of g")


# --- normal inputs ---


def _times(factor: Expr, moment: Real, words: str) -> Real:
    if isinstance(moment, Expr):
        return simplest(factor * moment)
    if factor == 1:
        return replace(moment, definition=words)
    return combined(words, lambda one, other: one * other, factor, moment)


def _second_moment(form: GatedUnit, sigma: Expr) -> Real:
    return _times(sigma**2, _of_gate(form, ""), "E f^2")


def _of_gate(form: GatedUnit, prime: str) -> Real:
    """E g^2 or E g'^2."""
    moment = number_of(form.gate.facts, "derivative_second_moment" if prime else "gaussian_second_moment")
    return replace(moment, definition=f"E g{prime}({form.variable})^2") if isinstance(moment, Enclosed) else moment


def _by_variable(form: GatedUnit, sigma: Expr) -> Real:
    return _times(sigma**2, _of_gate(form, "'"), f"E (df/d{form.variable})^2")


def _square_of_gradient(form: GatedUnit, sigma: Expr) -> Real:
    one, other = _of_gate(form, ""), _by_variable(form, sigma)
    if isinstance(one, Expr) and isinstance(other, Expr):
        return simplest(one + other)
    return combined("E |grad f|^2", lambda first, second: first + second, one, other)


def _gradients(form: GatedUnit, sigma: Expr) -> Finding:
    moments: dict[str, Value] = {
        str(form.factor): _of_gate(form, ""),
        str(form.variable): _by_variable(form, sigma),
        "sum": _square_of_gradient(form, sigma),
    }
    return Finding(moments, _PRODUCT)


def _gain(second_moment: Real) -> Finding:
    if isinstance(second_moment, Expr) and second_moment == 0:
        raise Undecided("the second moment is 0")
    return Finding(gain(second_moment), "1 / sqrt of the second moment")


# --- special cases ---


def special_cases(form: GatedUnit) -> dict[str, Fact]:
    """Which function of the catalogue the gate is, and what it becomes at the ends of its parameters' domains."""
    found = {}
    if form.known is not None:
        claim = f"f({names(form.inputs)}) = {form.factor} {form.known.of(form.variable)}"
        found[claim] = settle(claim, lambda: Finding(True, "the difference of both sides is 0 on every piece"))
    for parameter in form.gate.activation.parameters:
        if form.gate.activation.expr.has(parameter.symbol):
            found |= _at_ends(form, parameter.symbol)
    return found


def _at_ends(form: GatedUnit, parameter: Symbol) -> dict[str, Fact]:
    """At 0 by substitution, at infinity by limits on both sides of b = 0."""
    found = {}
    others = {symbol: value for symbol, value in form.gate.parameters.items() if symbol != parameter}
    gate = form.gate.activation.expr.xreplace(others)
    at_zero = parameter.is_zero is None and form.gate.parameters[parameter] != 0
    ends = ([S.Zero] if at_zero else []) + ([] if parameter.is_positive else [-sympy.oo]) + [sympy.oo]
    for end in ends:
        try:
            limit = (
                gate.subs(parameter, end) if end == 0 else within(_SECONDS, partial(_limit, form, gate, parameter, end))
            )
            split(Activation("limit", limit, inputs=(form.variable,)))
        except (Undecided, InvalidActivation, NotImplementedError, ValueError):
            continue
        known = recognised(limit, form.variable, {})
        inside = known.of(form.variable) if known is not None else grammar_text(limit)
        arrow = "=" if end == 0 else "->"
        claim = f"{parameter} {arrow} {end}: f({names(form.inputs)}) {arrow} {form.factor} {_bracketed(inside)}"
        method = "by substitution" if end == 0 else f"limits for {form.variable} > 0, = 0 and < 0"
        found[claim] = settle(claim, partial(Finding, True, method))
    return found


def _bracketed(text: str) -> str:
    return f"({text})" if " " in text and "(" not in text.split(" ")[0] else text


def _limit(form: GatedUnit, gate: Expr, parameter: Symbol, end: Expr) -> Expr:
    """The pointwise limit of the gate; `Undecided` where it is not finite, or the gate has switches of its own."""
    if gate.has(sympy.Piecewise, sympy.Max, sympy.Min, sympy.Abs, sympy.Heaviside, sympy.sign):
        raise Undecided("limits are taken of smooth gates")
    positive = Symbol("u", positive=True)
    variable, sides = form.variable, []
    for side in (1, -1):
        limit = sympy.limit(gate.subs(variable, side * positive), parameter, end)
        if limit.has(sympy.Limit, sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, parameter):
            raise Undecided(f"no finite limit at {parameter} -> {end}")
        sides.append(limit.subs(positive, side * variable))
    at_zero = sympy.limit(gate.subs(variable, 0), parameter, end)
    return sympy.Piecewise((sides[0], variable > 0), (sides[1], variable < 0), (at_zero, True))
