"""Derivatives piece by piece, kinks, Clarke intervals and the chosen value."""

import pytest
import sympy
from sympy import Abs, Max, Min, Piecewise, Rational, S, Symbol, cosh, exp, nan, oo, sin, sqrt

from relusym.activation import Activation, Parameter, parameter_values, x
from relusym.activations import catalogue, named
from relusym.calculus.continuity import continuity_class
from relusym.calculus.derivatives import derivative, parameter_gradient
from relusym.calculus.limits import limits_at_infinity
from relusym.calculus.subdifferentials import choose, kinks
from relusym.errors import InvalidRequest, InvalidSubgradient, Undecided
from relusym.pieces import split

alpha = Symbol("alpha", positive=True)


def pieces_of(expr, *symbols):
    return split(Activation("f", sympy.sympify(expr), parameters=tuple(Parameter(symbol) for symbol in symbols)))


def at_defaults(name):
    activation = named(name)
    return split(activation, parameter_values(activation))


@pytest.mark.parametrize("activation", catalogue(), ids=lambda activation: activation.name)
def test_derivative_keeps_the_breakpoints_and_agrees_with_differences(activation):
    pieces = split(activation, parameter_values(activation))
    for order in (1, 2):
        slope = derivative(pieces, order)
        assert slope.breakpoints == pieces.breakpoints
        below = derivative(pieces, order - 1)
        for piece, lower_piece in zip(slope.pieces, below.pieces, strict=True):
            inside = piece.lower + 1 if piece.lower.is_finite else (piece.upper - 1 if piece.upper.is_finite else S.One)
            if not piece.lower < inside < piece.upper:
                inside = (piece.lower + piece.upper) / 2
            step = Rational(1, 10**12)
            rise = lower_piece.expr.subs(x, inside + step) - lower_piece.expr.subs(x, inside - step)
            exact = piece.expr.subs(x, inside).evalf(50)
            assert abs((rise / (2 * step)).evalf(50) - exact) < Rational(1, 10**20)


@pytest.mark.parametrize(
    ("name", "at", "clarke", "chosen"),
    [
        ("relu", 0, (0, 1), 0),
        ("leaky_relu", 0, (Rational(1, 100), 1), Rational(1, 100)),
        ("prelu", 0, (Rational(1, 4), 1), Rational(1, 4)),
        ("relu6", 6, (0, 1), 0),
        ("hardswish", -3, (-S.Half, 0), 0),
        ("hardswish", 3, (1, Rational(3, 2)), 1),
        ("hardsigmoid", 3, (0, Rational(1, 6)), 0),
        ("hardtanh", -1, (0, 1), 0),
        ("softshrink", S.Half, (0, 1), 0),
        ("hardshrink", S.Half, None, 0),
        ("threshold", 1, None, 0),
    ],
)
def test_clarke_interval_and_least_norm_choice(name, at, clarke, chosen):
    kink = next(kink for kink in kinks(at_defaults(name)) if kink.at == at)
    assert kink.clarke == clarke
    assert kink.chosen == chosen
    assert kink.in_clarke is (clarke is not None)


def test_selu_slopes_at_zero_are_its_constants():
    (kink,) = kinks(at_defaults("selu"))
    assert [str(end.evalf(8)) for end in kink.clarke] == ["1.0507010", "1.7580993"]
    assert kink.chosen == kink.right


@pytest.mark.parametrize("name", ["celu", "softsign", "relu_squared", "elu", "gelu", "silu", "snake", "identity"])
def test_differentiable_functions_have_no_kink(name):
    assert kinks(at_defaults(name)) == ()


def test_elu_kink_is_symbolic_in_alpha():
    elu = split(named("elu"))
    symbol = named("elu").parameters[0].symbol
    (kink,) = kinks(elu)
    assert (kink.left, kink.right) == (symbol, 1)
    assert kink.clarke == (Min(1, symbol), Max(1, symbol))
    assert kink.chosen == Min(1, symbol)
    assert kinks(split(named("elu"), {symbol: S.One})) == ()


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ("least-norm", 0),
        ("left", 0),
        ("right", 1),
        ("midpoint", S.Half),
        (1, 1),
        ("1/3", None),
        (Rational(1, 3), Rational(1, 3)),
        (0.25, Rational(1, 4)),
        ({0: Rational(1, 7)}, Rational(1, 7)),
    ],
    ids=str,
)
def test_policies_at_the_kink_of_relu(policy, value):
    relu = pieces_of(Max(0, x))
    if value is None:
        with pytest.raises(InvalidSubgradient, match="unknown"):
            derivative(relu, policy=policy)
        return
    assert derivative(relu, policy=policy).values == (value,)


def test_a_value_outside_the_clarke_interval_needs_an_explicit_word():
    relu = pieces_of(Max(0, x))
    for policy in (2, {0: -1}):
        with pytest.raises(InvalidSubgradient, match=r"outside the Clarke interval \[0, 1\]"):
            derivative(relu, policy=policy)
    assert derivative(relu, policy=2, outside_clarke=True).values == (2,)
    assert kinks(relu, policy=2, outside_clarke=True)[0].in_clarke is False


def test_a_mapping_must_name_every_kink():
    with pytest.raises(InvalidSubgradient, match="kink at 6"):
        derivative(at_defaults("relu6"), policy={0: 0})


def test_the_definition_s_own_subgradient_wins_over_the_default_policy():
    relu = pieces_of(Max(0, x))
    assert derivative(relu, stated={S.Zero: S.One}).values == (1,)
    assert derivative(relu, policy="left", stated={S.Zero: S.One}).values == (0,)


def test_higher_derivatives_glue_their_own_one_sided_limits():
    assert derivative(at_defaults("relu_squared"), 2).values == (0,)
    assert derivative(at_defaults("elu"), 2).values == (0,)
    assert derivative(pieces_of(Abs(x) ** 3), 2).values == (0,)
    assert derivative(pieces_of(Max(0, x)), 2, policy=1).values == (0,)


def test_an_unbounded_slope_is_no_number():
    slope = derivative(pieces_of(Piecewise((sqrt(x), x > 0), (0, True))))
    assert slope.values == (nan,)
    (kink,) = kinks(pieces_of(Piecewise((sqrt(x), x > 0), (0, True))))
    assert (kink.right, kink.clarke, kink.in_clarke) == (oo, None, False)


def test_a_removed_point_is_a_jump_with_equal_slopes():
    (kink,) = kinks(pieces_of(Piecewise((x, x < 2), (5, x <= 2), (x, True))))
    assert (kink.left, kink.right, kink.clarke, kink.chosen) == (1, 1, None, 1)


def test_least_norm_of_two_negative_slopes_is_the_larger():
    assert choose(S(-3), S(-2), "least-norm", S.Zero) == -2
    assert choose(S(2), S(3), "least-norm", S.Zero) == 2
    assert choose(S(-3), S(2), "least-norm", S.Zero) == 0


def test_parameter_gradients():
    prelu = named("prelu")
    gradient = parameter_gradient(split(prelu), prelu.parameters[0].symbol)
    assert [piece.expr for piece in gradient.pieces] == [x, 0]
    assert gradient.values == (0,)
    moving = pieces_of(Piecewise((x, x > alpha), (alpha, True)), alpha)
    assert parameter_gradient(moving, alpha).values == (0,)


def test_order_below_zero_is_refused_and_zero_is_the_function():
    relu = pieces_of(Max(0, x))
    assert derivative(relu, 0) == relu
    with pytest.raises(InvalidRequest):
        derivative(relu, -1)


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("relu", 0),
        ("relu_squared", 1),
        ("elu", 1),
        ("celu", 1),
        ("selu", 0),
        ("hardshrink", -1),
        ("threshold", -1),
        ("softsign", 1),
        ("hardswish", 0),
        ("gelu", oo),
    ],
)
def test_continuity_class(name, order):
    assert continuity_class(at_defaults(name)).order == order


def test_continuity_of_elu_depends_on_alpha():
    elu = split(named("elu"))
    found = continuity_class(elu)
    assert found.order == 0
    assert found.differences == (named("elu").parameters[0].symbol - 1,)


def test_flat_joins_are_undecided_rather_than_guessed():
    flat = pieces_of(Piecewise((sin(x), x <= 0), (sin(x) + exp(-1 / x), True)))
    with pytest.raises(Undecided):
        continuity_class(flat)


@pytest.mark.parametrize(
    ("expr", "limits"),
    [
        (x / (1 + exp(-x)), (0, oo)),
        (1 / cosh(x), (0, 0)),
        (sin(x), (nan, nan)),
        (x + sin(x), (-oo, oo)),
        (x * exp(-(x**2)), (0, 0)),
        (Piecewise((0, x <= 0), (x, True)), (0, oo)),
        (x / sqrt(1 + x**2), (-1, 1)),
        (-alpha * exp(x), (0, -oo)),
    ],
    ids=str,
)
def test_limits_at_infinity(expr, limits):
    symbols = sorted(expr.free_symbols - {x}, key=str)
    assert limits_at_infinity(pieces_of(expr, *symbols)) == limits
