"""Questions that SymPy 1.14 answers wrongly or not at all when asked about a whole Piecewise; ours are right.

Each case first pins what SymPy says, so that a mended SymPy is noticed.
"""

import pytest
import sympy
from sympy import Abs, Heaviside, Max, Min, Piecewise, Symbol, exp, limit, nan, oo

from relusym.activation import Activation, Parameter, parameter_values, x
from relusym.activations import named
from relusym.calculus.derivatives import derivative
from relusym.calculus.limits import limits_at_infinity, one_sided_limit
from relusym.calculus.subdifferentials import kinks, slopes
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
