"""What is true of a maximum of affine functions of the inputs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

import sympy
from sympy import Expr, Max, S, Symbol

from relusym.activation import x
from relusym.activations import named
from relusym.balls import combined
from relusym.calculus.bounds import simplest
from relusym.calculus.hulls import Hull, Vector, hull
from relusym.calculus.moments import gain, gaussian_moment
from relusym.calculus.sets import compare
from relusym.errors import Undecided
from relusym.facts import Fact, Interval, Real, RealSet
from relusym.pieces import Piece, Pieces
from relusym.several.findings import Finding, chord, point, refuted, settle, sign_known
from relusym.several.forms import AffineMaximum
from relusym.several.recognition import same
from relusym.signs import sign_of

_WITNESS_STEPS = 24  # doublings of a step, until a chord shows that f bends


def facts(form: AffineMaximum, sigma: Expr) -> dict[str, Fact]:
    """All facts of a maximum by their identifiers."""
    normal = f"inputs independent, normal with mean 0 and standard deviation {sigma}"
    claims: dict[str, tuple[str, Callable[[], Finding]]] = {
        "continuity_class": ("f is C^k for this k and no larger one", lambda: _continuity(form)),
        "kinks": ("where f has no derivative", lambda: _kinks(form)),
        "subdifferential": ("the Clarke subdifferential at a point", lambda: _subdifferential(form)),
        "convex": ("f is convex", lambda: Finding(True, "a maximum of affine functions is convex")),
        "concave": ("f is concave", lambda: _concave(form)),
        "monotonicity": ("f rises or falls in each input, the others held", lambda: _monotonicity(form)),
        "homogeneity": ("the d with f(t z) = t^d f(z) for all t > 0", lambda: _homogeneity(form)),
        "range": ("all values of f", lambda: _range(form)),
        "lipschitz": (
            "the least L with |f(x) - f(y)| <= L |x - y|, for norms of the inputs",
            lambda: _lipschitz(form),
        ),
        "gaussian_mean": (f"E f, {normal}", lambda: Finding(*_mean(form, sigma))),
        "gaussian_second_moment": (f"E f^2, {normal}", lambda: Finding(*_second_moment(form, sigma))),
        "gradient_second_moments": (f"E (df/dz)^2 by input, and their sum, {normal}", lambda: _gradients(form)),
        "gain_forward": (f"1 / sqrt(E f^2), {normal}", lambda: _gain(_second_moment(form, sigma)[0])),
        "gain_backward": (f"1 / sqrt(E |grad f|^2), {normal}", lambda: _gain(_square_of_gradient(form))),
    }
    return {name: settle(*claim) for name, claim in claims.items()}


def value_at(form: AffineMaximum, at: Vector) -> Expr:
    """The exact value at a point."""
    values = dict(zip(form.inputs, at, strict=True))
    found = [line.expr.xreplace(values) for line in form.lines]
    largest = found[0]
    for value in found[1:]:
        largest = value if sign_known(value - largest) > 0 else largest
    return largest


def active(form: AffineMaximum, at: Vector) -> tuple[Vector, ...]:
    """The gradients of the lines that are largest at a point, in their order; `Undecided` where two cannot be told."""
    values = dict(zip(form.inputs, at, strict=True))
    largest = value_at(form, at)
    return tuple(line.gradient for line in form.lines if sign_known(line.expr.xreplace(values) - largest) == 0)


def _is_affine(form: AffineMaximum) -> bool:
    return len(form.gradients) == 1


def _hull(form: AffineMaximum) -> Hull:
    return hull(list(map(str, form.inputs)), form.gradients)


def _continuity(form: AffineMaximum) -> Finding:
    if _is_affine(form):
        return Finding("infinity", "all lines have one gradient: f is affine")
    return Finding(0, "continuous as a maximum; the gradient takes several values and none between them")


def _kinks(form: AffineMaximum) -> Finding:
    method = "elsewhere one line is the largest nearby"
    if _is_affine(form):
        return Finding("none", "f is affine")
    if form.is_of_inputs:
        return Finding("where two inputs or more are largest together", method)
    return Finding("where lines of different gradients are largest together", method)


def _subdifferential(form: AffineMaximum) -> Finding:
    chosen = {"least-norm": "the gradient of least norm among them", "first": "that of the first of them"}
    lines = "inputs" if form.is_of_inputs else "lines"
    text = f"the convex hull of the gradients of the {lines} that are largest there"
    if form.is_of_inputs and form.policy == "least-norm":
        taken = "1/r for each of r"
    else:
        taken = chosen.get(form.policy, "that of the last of them")
    return Finding(f"{text}; chosen: {taken} ({form.policy})", "the subdifferential of a maximum of affine functions")


def _concave(form: AffineMaximum) -> Finding:
    if _is_affine(form):
        return Finding(True, "f is affine")
    one, other = form.gradients[:2]
    step = tuple(a - b for a, b in zip(one, other, strict=True))
    for size in (2**n for n in range(_WITNESS_STEPS)):
        ends = tuple(size * part for part in step), tuple(-size * part for part in step)
        side, words = chord(lambda at: value_at(form, at), *ends)
        if side < 0:
            return refuted(words)
    raise Undecided("no chord was found that lies above f")


def _monotonicity(form: AffineMaximum) -> Finding:
    """The slopes taken are those of the hull's corners, each on an open set."""
    words = {}
    for symbol, slopes in zip(form.inputs, zip(*form.gradients, strict=True), strict=True):
        words[str(symbol)] = _direction({sign_known(slope) for slope in slopes})
    return Finding(words, "signs of the lines' slopes")


def _direction(signs: set[int]) -> str:
    if signs == {0}:
        return "constant"
    for sign, word in ((1, "increasing"), (-1, "decreasing")):
        if signs <= {0, sign}:
            return word if 0 in signs else f"strictly {word}"
    return "none"


def _homogeneity(form: AffineMaximum) -> Finding:
    if all(line.constant == 0 for line in form.lines):
        return Finding({"degree": S.One}, "every line is linear")
    if _is_affine(form):
        raise Undecided("an affine function with a constant")
    size = len(form.inputs)
    places = [tuple(S(int(n == axis)) * sign for n in range(size)) for axis in range(size) for sign in (1, -1)]
    for at in [tuple(S.Zero for _ in form.inputs), *places]:
        once, twice = value_at(form, at), value_at(form, tuple(2 * part for part in at))
        if sign_known(twice - 2 * once) != 0:
            # a piecewise affine function that is homogeneous is so of degree 1
            return refuted(f"f({point([2 * part for part in at])}) = {twice}, twice f({point(at)}) = {2 * once}")
    raise Undecided("no witness was found among the axes")


def _range(form: AffineMaximum) -> Finding:
    whole = RealSet((Interval(-sympy.oo, sympy.oo, False, False),))
    if not _hull(form).contains([S.Zero] * len(form.inputs)):
        return Finding(whole, "0 is no convex combination of the gradients: f is unbounded both ways, and continuous")
    if any(line.constant != 0 for line in form.lines):
        raise Undecided("f has a least value that is not looked for")
    if all(coefficient == 0 for gradient in form.gradients for coefficient in gradient):
        return Finding(RealSet((Interval(S.Zero, S.Zero, True, True),)), "every line is 0")
    return Finding(
        RealSet((Interval(S.Zero, sympy.oo, True, False),)),
        "0 is a convex combination of the gradients of linear functions, so f >= 0 = f(0)",
    )


def _lipschitz(form: AffineMaximum) -> Finding:
    """A norm of the gradients is greatest at a corner of their hull, and each corner is the gradient somewhere."""
    squares = [sum((part**2 for part in gradient), S.Zero) for gradient in form.gradients]
    sizes = [sum(map(abs, gradient), S.Zero) for gradient in form.gradients]
    value = {"2-norm": sympy.sqrt(_largest(squares)), "sup-norm": _largest(sizes)}
    return Finding(value, "the largest dual norm of a gradient; the largest are taken on open sets")


def _largest(numbers: list[Expr]) -> Expr:
    best = numbers[0]
    for other in numbers[1:]:
        best = other if compare(other, best) > 0 else best
    return best


# --- normal inputs ---


def _mean(form: AffineMaximum, sigma: Expr) -> tuple[Real, str]:
    """E max = k (k - 1) E phi(z) Phi(z)^(k - 2): by parts from the density k phi Phi^(k - 1) of the maximum."""
    moment = _of_powers(_inputs(form), S.One)
    return _scaled(moment, sigma, "E f"), _method(moment)


def _second_moment(form: AffineMaximum, sigma: Expr) -> tuple[Real, str]:
    """E max^2 = 1 + k (k - 1) E z phi(z) Phi(z)^(k - 2), likewise."""
    k = _inputs(form)
    rest = _of_powers(k, x) if k > 2 else S.Zero
    total = 1 + rest if isinstance(rest, Expr) else combined("E f^2", lambda ball: 1 + ball, rest)
    return _scaled(total, sigma**2, "E f^2"), _method(rest)


def _method(moment: Real) -> str:
    how = "integrated in closed form" if isinstance(moment, Expr) else "integrated in balls, tails bounded"
    return f"the density k phi Phi^(k-1) of the maximum, by parts, {how}"


def _inputs(form: AffineMaximum) -> int:
    if not form.is_of_inputs:
        raise Undecided("moments are known for a maximum of the inputs themselves")
    return len(form.inputs)


@functools.lru_cache(maxsize=32)  # an integral in balls remembers what it has found
def _of_powers(k: int, factor: Expr) -> Real:
    """K (k - 1) E factor(z) phi(z) Phi(z)^(k - 2)."""
    density = sympy.exp(-(x**2) / 2) / sympy.sqrt(2 * sympy.pi)
    below = (1 + sympy.erf(x / sympy.sqrt(2))) / 2
    whole = Piece(k * (k - 1) * factor * density * below ** (k - 2), -sympy.oo, sympy.oo)
    height = k * (k - 1) / sympy.sqrt(2 * sympy.pi)
    growth = (S.Zero, height) if factor == x else (height, S.Zero)
    return gaussian_moment(Pieces(x, (whole,), (), ()), growth=growth)


def _scaled(moment: Real, factor: Expr, words: str) -> Real:
    if isinstance(moment, Expr):
        return simplest(factor * moment)
    if factor == 1:
        return replace(moment, definition=words)
    return combined(words, lambda one, other: one * other, moment, factor)


def _gradients(form: AffineMaximum) -> Finding:
    k = _inputs(form)
    return Finding({"each input": sympy.Rational(1, k), "sum": S.One}, "each input is the largest with probability 1/k")


def _square_of_gradient(form: AffineMaximum) -> Expr:
    _inputs(form)
    return S.One


def _gain(second_moment: Real) -> Finding:
    return Finding(gain(second_moment), "1 / sqrt of the second moment")


# --- special cases ---


def special_cases(form: AffineMaximum) -> dict[str, Fact]:
    """What a maximum of two inputs is where both depend on one x."""
    if not form.is_of_inputs or len(form.inputs) != 2:
        return {}
    relu, absolute = named("relu").expr, sympy.Abs(x)
    alpha = named("leaky_relu").parameters[0].name
    return {
        claim: settle(claim, find)
        for claim, find in {
            "f(x, 0) = relu(x)": lambda: _is(form, S.Zero, relu),
            "f(x, -x) = |x|": lambda: _is(form, -x, absolute),
            f"f(x, {alpha} x) = leaky_relu(x), for {alpha} > 0 if and only if {alpha} <= 1": lambda: _leaky(form),
        }.items()
    }


def _on_line(form: AffineMaximum, second: Expr) -> Expr:
    return Max(*(line.expr for line in form.lines)).xreplace(dict(zip(form.inputs, (x, second), strict=True)))


def _is(form: AffineMaximum, second: Expr, wanted: Expr) -> Finding:
    if not same(_on_line(form, second), wanted, x):
        raise Undecided("no proof found that both sides are equal")
    return Finding(True, "the difference of both sides is 0 on every piece")


def _leaky(form: AffineMaximum) -> Finding:
    """Alpha below 1 as 1/(1 + s), 1, and above 1 as 1 + s, for all s > 0."""
    leaky = named("leaky_relu")
    (alpha,) = (parameter.symbol for parameter in leaky.parameters)
    s = Symbol("s", positive=True)
    for slope in (1 / (1 + s), S.One):
        if not same(_on_line(form, slope * x), leaky.expr.xreplace({alpha: slope}), x):
            raise Undecided(f"not proved for alpha = {slope}")
    at_one = [f.xreplace({alpha: 1 + s, x: S.One}) for f in (_on_line(form, alpha * x), leaky.expr)]
    if sign_of(at_one[0] - at_one[1]) != 1:
        raise Undecided("not refuted for alpha above 1")
    values = [value.xreplace({s: S.One}) for value in at_one]
    return Finding(
        True,
        f"equal piece by piece for {alpha} = 1 and {alpha} = 1/(1 + s), s > 0; apart at x = 1 for {alpha} = 1 + s: "
        f"{values[0]} and {values[1]} for {alpha} = 2",
    )
