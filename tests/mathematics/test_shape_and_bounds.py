"""Monotonicity, convexity, range and Lipschitz constant, read off sign tables."""

from fractions import Fraction
from itertools import pairwise

import mpmath
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Abs, Eq, Max, Piecewise, Rational, cosh, erf, exp, log, oo, pi, sin, sqrt

from relusym.activation import Activation, parameter_values, x
from relusym.activations import catalogue, named
from relusym.balls import order
from relusym.calculus import bounds, shape
from relusym.facts import Enclosed, Interval, RealSet
from relusym.pieces import split

HALF = Rational(1, 2)


def pieces_of(expr):
    return split(Activation("f", sympy.sympify(expr)))


def at_defaults(name, **values):
    activation = named(name)
    return split(activation, parameter_values(activation, values))


def plain(values: RealSet):
    """A set as text, enclosures as short decimals."""

    def number(end):
        return f"{float(end.enclose(53).mid()):.6g}" if isinstance(end, Enclosed) else str(end)

    def one(part: Interval):
        if part.inf is part.sup:
            return f"{{{number(part.inf)}}}"
        left, right = "[" if part.inf_attained else "(", "]" if part.sup_attained else ")"
        return f"{left}{number(part.inf)}, {number(part.sup)}{right}"

    repeated = "" if values.period is None else f" + {values.period} Z"
    return " ".join(map(one, values.components)) + repeated


@pytest.mark.parametrize(
    ("name", "values", "slopes"),
    [
        ("relu", "[0, oo)", "{0} {1}"),
        ("relu6", "[0, 6]", "{0} {1}"),
        ("relu_squared", "[0, oo)", "[0, oo)"),
        ("elu", "(-1, oo)", "(0, 1]"),
        ("gelu", "[-0.169971, oo)", None),
        ("gelu_tanh", "[-0.170041, oo)", "[-0.128993, 1.12899]"),
        ("silu", "[-LambertW(exp(-1)), oo)", "[-0.0998393, 1.09984]"),
        ("mish", "[-0.308843, oo)", "[-0.112526, 1.0885]"),
        ("softplus", "(0, oo)", "(0, 1)"),
        ("logsigmoid", "(-oo, 0)", "(0, 1)"),
        ("sigmoid", "(0, 1)", "(0, 1/4]"),
        ("tanh", "(-1, 1)", "(0, 1]"),
        ("hardtanh", "[-1, 1]", "{0} {1}"),
        ("hardsigmoid", "[0, 1]", "{0} {1/6}"),
        ("hardswish", "[-3/8, oo)", "(-1/2, 3/2)"),
        ("softsign", "(-1, 1)", "(0, 1]"),
        ("softshrink", "(-oo, oo)", "{0} {1}"),
        ("hardshrink", "(-oo, -1/2) {0} (1/2, oo)", "{0} {1}"),
        ("tanhshrink", "(-oo, oo)", "[0, 1)"),
        ("snake", "(-oo, oo)", "[0, 2]"),
        ("threshold", "{0} (1, oo)", "{0} {1}"),
    ],
)
def test_ranges_of_the_catalogue(name, values, slopes):
    pieces = at_defaults(name)
    assert plain(bounds.value_range(pieces)) == values
    assert slopes is None or plain(bounds.value_range(pieces, 1)) == slopes


@pytest.mark.parametrize(
    ("name", "monotone", "curved", "lipschitz"),
    [
        ("relu", "increasing", "convex", 1),
        ("identity", "strictly increasing", "affine", 1),
        ("elu", "strictly increasing", "convex", 1),
        ("selu", "strictly increasing", "none", None),
        ("gelu", "none", "none", erf(1) / 2 + exp(-1) / sqrt(pi) + HALF),
        ("softplus", "strictly increasing", "convex", 1),
        ("logsigmoid", "strictly increasing", "concave", 1),
        ("sigmoid", "strictly increasing", "none", Rational(1, 4)),
        ("tanhshrink", "strictly increasing", "none", 1),
        ("snake", "strictly increasing", "none", 2),
        ("hardswish", "none", "none", Rational(3, 2)),
        ("hardshrink", "increasing", "none", oo),
        ("relu_squared", "increasing", "convex", oo),
        ("softsign", "strictly increasing", "none", 1),
    ],
)
def test_shape_of_the_catalogue(name, monotone, curved, lipschitz):
    pieces = at_defaults(name)
    assert shape.monotonicity(pieces) == monotone
    assert shape.convexity(pieces) == curved
    assert lipschitz is None or order(bounds.lipschitz_constant(pieces), sympy.sympify(lipschitz)) == 0


@pytest.mark.parametrize(("alpha", "curved", "constant"), [("1/2", "convex", 1), (1, "convex", 1), (2, "none", 2)])
def test_elu_is_convex_up_to_alpha_1(alpha, curved, constant):
    pieces = at_defaults("elu", alpha=alpha)
    assert shape.convexity(pieces) == curved
    assert bounds.lipschitz_constant(pieces) == constant


def test_equal_extrema_without_closed_forms_are_known_to_be_equal():
    """An even function takes its greatest value twice; an odd derivative is as steep on both sides."""
    pieces = pieces_of(-(x**6 - 7 * x**4 + 2 * x**2) * exp(-(x**2)))
    assert len(bounds.extremum(pieces, -1)[2].components) == 2
    assert isinstance(bounds.lipschitz_constant(pieces), Enclosed)


def test_the_least_value_of_silu_in_closed_form():
    least = -sympy.LambertW(exp(-1))
    assert bounds.extremum(at_defaults("silu"), 1) == (
        least,
        True,
        RealSet((Interval(least - 1, least - 1, True, True),)),
    )


def test_inflections_need_a_tangent_and_a_change_of_sign():
    assert plain(shape.inflections(at_defaults("softsign"))) == "{0}"
    assert plain(shape.inflections(at_defaults("gelu"))) == "{-sqrt(2)} {sqrt(2)}"
    assert plain(shape.inflections(at_defaults("tanhshrink"))) == "{0}"
    assert plain(shape.inflections(at_defaults("relu"))) == ""
    assert plain(shape.inflections(pieces_of(x**4))) == ""
    assert plain(shape.inflections(at_defaults("snake"))) == "{-pi/4} {pi/4} + pi Z"
    # bent both ways at a corner: no tangent
    assert plain(shape.inflections(pieces_of(Piecewise((x**2 + x, x < 0), (-(x**2), True))))) == ""


def test_zeros_and_dead_regions():
    assert plain(shape.zeros(at_defaults("relu"))) == "(-oo, 0]"
    assert plain(shape.zeros(at_defaults("hardswish"))) == "(-oo, -3] {0}"
    assert plain(shape.zeros(at_defaults("hardshrink"))) == "[-1/2, 1/2]"
    assert plain(shape.zeros(pieces_of(sin(x)))) == "{0} {pi} + 2*pi Z"
    assert plain(shape.zeros(pieces_of(Piecewise((1, Eq(x, 0)), (0, True))))) == "(-oo, 0) (0, oo)"
    assert plain(shape.dead_region(at_defaults("relu6"))) == "(-oo, 0) (6, oo)"
    assert plain(shape.dead_region(at_defaults("relu_squared"))) == "(-oo, 0]"
    assert plain(shape.dead_region(at_defaults("tanhshrink"))) == ""


def test_extrema_say_whether_and_where():
    value, attained, where = bounds.extremum(at_defaults("hardswish"), 1)
    assert (value, attained, plain(where)) == (Rational(-3, 8), True, "{-3/2}")
    value, attained, where = bounds.extremum(at_defaults("relu6"), -1)
    assert (value, attained, plain(where)) == (6, True, "[6, oo)")
    value, attained, where = bounds.extremum(at_defaults("elu"), 1)
    assert (value, attained, plain(where)) == (-1, False, "")
    assert plain(bounds.extremum(pieces_of(sin(x)), 1)[2]) == "{-pi/2} + 2*pi Z"


@pytest.mark.parametrize(
    ("expr", "values", "monotone", "curved", "lipschitz"),
    [
        (x * exp(-(x**2)), None, "none", "none", 1),
        (log(cosh(x)), "[0, oo)", "none", "convex", 1),
        (x / (1 + Abs(x)), "(-1, 1)", "strictly increasing", "none", 1),
        (Abs(x), "[0, oo)", "none", "convex", 1),
        (-Abs(x), "(-oo, 0]", "none", "concave", 1),
        (Max(2 * x + 1, -x), "[1/3, oo)", "none", "convex", 2),
        (Piecewise((1, x < 0), (0, True)), "{0} {1}", "decreasing", "none", oo),
        (x**3, "(-oo, oo)", "strictly increasing", "none", oo),
        (sympy.sympify(3) + 0 * x, "{3}", "constant", "affine", 0),
    ],
    ids=str,
)
def test_formulas_nobody_prepared(expr, values, monotone, curved, lipschitz):
    pieces = pieces_of(expr)
    assert values is None or plain(bounds.value_range(pieces)) == values
    assert shape.monotonicity(pieces) == monotone
    assert shape.convexity(pieces) == curved
    assert order(bounds.lipschitz_constant(pieces), sympy.sympify(lipschitz)) == 0


# --- random piecewise polynomials against exact rational arithmetic, written without the engine ---

coefficients = st.integers(-4, 4).map(lambda n: Fraction(n, 2))
parabolas = st.tuples(coefficients, coefficients, coefficients)


@st.composite
def piecewise_parabolas(draw):
    cuts = sorted(draw(st.sets(st.integers(-3, 3), min_size=1, max_size=3)))
    joined = draw(st.booleans())
    parts = [draw(parabolas)]
    for cut in cuts:
        a, b, c = draw(parabolas)
        if joined:
            left = parts[-1]
            c = left[0] * cut**2 + left[1] * cut + left[2] - a * cut**2 - b * cut
        parts.append((a, b, c))
    return cuts, parts


def at(part, point):
    return part[0] * point**2 + part[1] * point + part[2]


def pieces_of_parabolas(cuts, parts):
    rational = [[Rational(c.numerator, c.denominator) for c in part] for part in parts]
    forms = [a * x**2 + b * x + c for a, b, c in rational]
    branches = [(form, x < cut) for form, cut in zip(forms, cuts, strict=False)]
    return pieces_of(Piecewise(*branches, (forms[-1], True)))


INFINITE = Fraction(10**9)


@settings(max_examples=80, deadline=None)
@given(piecewise_parabolas())
def test_random_piecewise_parabolas_against_exact_fractions(case):
    cuts, parts = case
    pieces = pieces_of_parabolas(cuts, parts)
    ends = [-INFINITE, *map(Fraction, cuts), INFINITE]
    spans = list(pairwise(ends))
    continuous = all(at(one, cut) == at(other, cut) for (one, other), cut in zip(pairwise(parts), cuts, strict=True))

    # slopes of parabolas are linear: their signs and extremes are those at the ends
    slopes = [2 * part[0] * end + part[1] for part, span in zip(parts, spans, strict=True) for end in span]
    jumps = [at(other, cut) - at(one, cut) for (one, other), cut in zip(pairwise(parts), cuts, strict=True)]
    rising, falling = (all(sign * v >= 0 for v in (*slopes, *jumps)) for sign in (1, -1))
    flat = [part[:2] == (0, 0) for part in parts]
    expected = "none"
    if rising and falling:
        expected = "constant"
    elif rising or falling:
        word = "increasing" if rising else "decreasing"
        expected = word if any(flat) else f"strictly {word}"
    assert shape.monotonicity(pieces) == expected

    steps = [
        (2 * b[0] * cut + b[1]) - (2 * a[0] * cut + a[1]) for (a, b), cut in zip(pairwise(parts), cuts, strict=True)
    ]
    bends = [part[0] for part in parts] + steps
    convex, concave = (continuous and all(sign * v >= 0 for v in bends) for sign in (1, -1))
    words = {(True, True): "affine", (True, False): "convex", (False, True): "concave", (False, False): "none"}
    assert shape.convexity(pieces) == words[convex, concave]

    steepest = max(abs(slope) for slope in slopes)
    constant = bounds.lipschitz_constant(pieces)
    if not continuous or steepest > 10**6:
        assert constant is oo
    else:
        assert constant == Rational(steepest.numerator, steepest.denominator)

    lows = []
    for part, span in zip(parts, spans, strict=True):
        candidates = [at(part, end) for end in span]
        if part[0] and span[0] < -part[1] / (2 * part[0]) < span[1]:
            candidates.append(at(part, -part[1] / (2 * part[0])))
        lows.append(min(candidates))
    found = bounds.extremum(pieces, 1)[0]
    assert found == (-oo if min(lows) < -(10**6) else Rational(min(lows).numerator, min(lows).denominator))


@pytest.mark.parametrize("name", [activation.name for activation in catalogue()])
def test_the_range_holds_every_value_and_its_ends_are_approached(name):
    """Values at many points lie inside; some come close to each finite end."""
    pieces = at_defaults(name)
    values = bounds.value_range(pieces)
    function = sympy.lambdify(x, sympy.Piecewise(*((p.expr, x < p.upper) for p in pieces.pieces)), "mpmath")
    with mpmath.workdps(40):
        taken = [function(mpmath.mpf(n) / 16) for n in range(-640, 641) if n % 16]
    low, high = values.components[0].inf, values.components[-1].sup
    for end, extreme in ((low, min(taken)), (high, max(taken))):
        if isinstance(end, Enclosed) or end.is_finite:
            exact = float(end.enclose(60).mid()) if isinstance(end, Enclosed) else float(end)
            assert abs(float(extreme) - exact) < 0.03
            assert float(extreme) >= exact - 1e-15 if end is low else float(extreme) <= exact + 1e-15
        else:
            assert abs(extreme) > 0.3  # a hundredth of the largest input, for leaky_relu
