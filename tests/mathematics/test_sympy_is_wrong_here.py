"""Questions that SymPy 1.14 answers wrongly or not at all when asked about a whole Piecewise; ours are right.

Each case first pins what SymPy says, so that a mended SymPy is noticed.
"""

import pytest
import sympy
from sympy import Abs, Heaviside, Max, Min, Piecewise, Symbol, exp, limit, nan, oo

from relusym.activation import Activation, Parameter, parameter_values, x
from relusym.activations import named
from relusym.calculus.bounds import value_range
from relusym.calculus.derivatives import derivative
from relusym.calculus.limits import limits_at_infinity, one_sided_limit
from relusym.calculus.shape import convexity, monotonicity, sign_sets
from relusym.calculus.subdifferentials import kinks, slopes
from relusym.deadline import within
from relusym.pieces import split

step = Piecewise((0, x <= 0), (1, True))
relu = Piecewise((0, x <= 0), (x, True))


def pieces_of(expr, *symbols):
    return split(Activation("f", sympy.sympify(expr), parameters=tuple(Parameter(symbol) for symbol in symbols)))


@pytest.mark.parametrize(
    ("expr", "side", "sympy_says", "right"),
    [
        # sympy#23836, #26313, #27236: the side is ignored.
        (step, "+", 0, 1),
        (Piecewise((0, x < 0), (1, True)), "-", 1, 0),
        (Piecewise((x + 5, x <= 0), (x, True)), "+", 5, 0),
        (Heaviside(-(exp(x) - 1)), "+", sympy.Rational(1, 2), 0),
    ],
    ids=str,
)
def test_one_sided_limits_at_a_breakpoint(expr, side, sympy_says, right):
    assert limit(expr, x, 0, side) == sympy_says
    pieces = pieces_of(expr)
    piece = pieces.pieces[1] if side == "+" else pieces.pieces[0]
    assert one_sided_limit(piece, sympy.S.Zero) == right


def test_limit_of_a_piecewise_at_infinity():
    with pytest.raises(TypeError):
        limit(relu, x, oo)
    assert limits_at_infinity(pieces_of(relu)) == (0, oo)


def test_limit_of_a_power_at_minus_infinity():
    assert limit(2**x, x, -oo) == oo
    assert limits_at_infinity(pieces_of(2**x)) == (0, oo)
    assert limits_at_infinity(pieces_of(x * 3**x)) == (0, oo)


def test_slopes_of_celu_written_with_max_and_min():
    celu = Max(0, x) + 2 * (exp(Min(0, x) / 2) - 1)
    assert slopes(pieces_of(celu), sympy.S.Zero) == (1, 1)
    assert derivative(pieces_of(celu)).values == (1,)
    assert kinks(pieces_of(celu)) == ()


@pytest.mark.parametrize("expr", [Max(0, x), relu, Piecewise((x, x >= 0), (0, True)), (x + Abs(x)) / 2], ids=str)
def test_the_kink_of_relu_does_not_depend_on_its_spelling(expr):
    (kink,) = kinks(pieces_of(expr))
    assert (kink.at, kink.left, kink.right, kink.clarke, kink.chosen) == (0, 0, 1, (0, 1), 0)
    assert derivative(pieces_of(expr), 2).values == (0,)


def test_derivatives_hold_no_dirac_delta():
    assert sympy.diff(Max(0, x), x, 2).has(sympy.DiracDelta)
    for expr in (Max(0, x), Abs(x), Heaviside(x), sympy.sign(x)):
        assert not any(piece.expr.has(sympy.DiracDelta) for piece in derivative(pieces_of(expr), 2).pieces)


def test_derivative_at_a_kink_is_a_choice_and_not_a_branch():
    assert sympy.diff(Max(0, x), x).subs(x, 0) == sympy.Rational(1, 2)
    assert sympy.diff(Piecewise((x, x >= 0), (0, True)), x).subs(x, 0) == 1
    jump = pieces_of(Piecewise((0, x < 0), (1, True)))
    (kink,) = kinks(jump)
    assert (kink.clarke, kink.in_clarke) == (None, False)


def test_softplus_with_symbolic_beta_keeps_its_linear_growth():
    beta = Symbol("beta", positive=True)
    softplus = pieces_of(sympy.log(1 + exp(beta * x)) / beta, beta)
    assert limits_at_infinity(derivative(softplus)) == (0, 1)


@pytest.mark.parametrize(
    "name",
    [
        "relu",
        "leaky_relu",
        "elu",
        "selu",
        "celu",
        "hardswish",
        "hardtanh",
        "relu6",
        "hardshrink",
        "softshrink",
    ],
)
def test_limits_of_the_derivative_at_infinity_exist(name):
    activation = named(name)
    slope = derivative(split(activation, parameter_values(activation)))
    assert nan not in limits_at_infinity(slope)


def test_every_kink_slope_is_a_limit_from_inside():
    # SymPy gets 12 of these 28 wrong on the whole Piecewise.
    expected = {
        "hardswish": [(0, -sympy.Rational(1, 2)), (sympy.Rational(3, 2), 1)],
        "hardtanh": [(0, 1), (1, 0)],
        "softshrink": [(1, 0), (0, 1)],
        "hardshrink": [(1, 0), (0, 1)],
        "prelu": [(sympy.Rational(1, 4), 1)],
    }
    for name, pairs in expected.items():
        pieces = split(named(name), parameter_values(named(name)))
        assert [slopes(pieces, place) for place in pieces.breakpoints] == pairs


# --- shape and range: SymPy's answers on Piecewise, and on functions with isolated stationary points ---

identity_clipped = Piecewise((-1, x < -1), (1, x > 1), (x, True))
hardshrink = Piecewise((x, x > 1), (x, x < -1), (0, True))


@pytest.mark.parametrize(
    ("expr", "right"),
    [
        (identity_clipped, "none"),
        (named("selu").expr, "none"),
        (Piecewise((0, x <= -3), (x, x >= 3), (x * (x + 3) / 6, True)), "none"),
        (hardshrink, "none"),
        (Piecewise((x, x < 0), (0, True)), "concave"),
    ],
    ids=["hardtanh", "selu", "hardswish", "hardshrink", "a concave corner"],
)
def test_convexity_of_a_piecewise(expr, right):
    """sympy#20920: kinks and jumps are ignored; even a function that jumps is called convex."""
    assert sympy.is_convex(expr, x) is True
    assert convexity(pieces_of(expr)) == right


def test_convexity_of_absolute_values():
    with pytest.raises(NotImplementedError):
        sympy.is_convex(-Abs(x), x)
    assert convexity(pieces_of(-Abs(x))) == "concave"


@pytest.mark.parametrize(
    ("expr", "sympy_says", "right"),
    [
        # sympy#28571: an isolated zero of f' is taken for a change of direction
        (x**3, False, "strictly increasing"),
        (x - sympy.tanh(x), False, "strictly increasing"),
        (Max(0, Min(x, 6)), False, "increasing"),
        # sympy#28578: a V-shape, and a step down
        (Max(2 * x + 1, -x), True, "none"),
    ],
    ids=str,
)
def test_monotonicity(expr, sympy_says, right):
    assert sympy.is_monotonic(expr, symbol=x) is sympy_says
    assert monotonicity(pieces_of(expr)) == right


def test_a_step_down_does_not_increase():
    step_down = Piecewise((1, x < 0), (0, True))
    assert sympy.is_increasing(step_down, symbol=x) is True
    assert monotonicity(pieces_of(step_down)) == "decreasing"


@pytest.mark.parametrize("name", ["relu", "elu", "gelu", "silu", "mish", "hardswish", "softsign"])
def test_ranges_that_function_range_refuses(name):
    """sympy#20654, #20881: no domain for a Piecewise or for erf; critical points of silu are not found."""
    activation = named(name)
    expr = activation.expr.xreplace(parameter_values(activation))
    with pytest.raises((NotImplementedError, TypeError, ValueError)):
        within(10, lambda: _asked(sympy.calculus.util.function_range, expr))
    found = value_range(pieces_of(expr))
    assert len(found.components) == 1


def _asked(question, expr):
    try:
        return question(expr, x, sympy.S.Reals)
    except NotImplementedError as refusal:
        raise TypeError(str(refusal)) from None


def test_singularities_of_a_jump_are_found():
    jump = Piecewise((0, x <= 0), (1, True))
    assert sympy.singularities(jump, x) is sympy.S.EmptySet
    (kink,) = kinks(pieces_of(jump))
    assert kink.clarke is None


@pytest.mark.parametrize("expr", [relu, (1 + sympy.erf(x)) / 2, (1 + sympy.tanh(x)) / 2], ids=str)
def test_signs_that_assumptions_do_not_see(expr):
    assert expr.is_nonnegative is None
    assert not sign_sets(pieces_of(expr))["negative"].components
