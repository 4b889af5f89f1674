"""The layer h = f(W x + b): gradients and update, in symbols."""

import pytest
import sympy
from sympy import Rational, Symbol

from relusym import Activation, affine, analyse, named, parse, relu
from relusym.activations import NAMES
from relusym.errors import InvalidRequest, InvalidSubgradient
from relusym.formulas.layer import render_layer
from relusym.layers import AffineLayer, in_pieces, plain, pre_activation_symbol


@pytest.fixture(scope="module")
def layer() -> AffineLayer:
    return affine(relu)


def test_every_entry_is_what_explicit_differentiation_gives(layer: AffineLayer) -> None:
    """Two units, three inputs, a loss that mixes the units, and an f of which nothing is known."""
    units, entries = 2, 3
    w = sympy.Matrix(units, entries, lambda i, j: Symbol(f"w{i + 1}{j + 1}"))
    b, x = (
        sympy.Matrix([Symbol(f"{name}{i + 1}") for i in range(size)]) for name, size in (("b", units), ("x", entries))
    )
    f, z = sympy.Function("f"), w * x + b
    h = [Symbol(f"h{i + 1}") for i in range(units)]
    loss = h[0] ** 2 * h[1] + 3 * h[1] - h[0]
    outputs = dict(zip(h, z.applyfunc(f), strict=True))
    total, argument = loss.subs(outputs), Symbol("u")

    def explicit(formula: sympy.Expr, i: int, j: int) -> sympy.Expr:
        """A formula for one entry, in the symbols of these two units."""
        known = {layer.unit: i, layer.entry: j, Symbol("m", integer=True, positive=True): units}
        written = formula.xreplace(known).doit()
        values = {
            **{layer.weight[a + 1, c + 1]: w[a, c] for a in range(units) for c in range(entries)},
            **{layer.bias[a + 1]: b[a] for a in range(units)},
            **{layer.input[c + 1]: x[c] for c in range(entries)},
            **{layer.gradient[a + 1]: loss.diff(h[a]).subs(outputs) for a in range(units)},
            **{layer.slope[a + 1]: f(argument).diff(argument).subs(argument, z[a]).doit() for a in range(units)},
        }
        return written.xreplace(values)

    for i in range(1, units + 1):
        assert sympy.expand(explicit(layer.by_bias, i, 1) - total.diff(b[i - 1]).doit()) == 0
        for j in range(1, entries + 1):
            by_weight = total.diff(w[i - 1, j - 1]).doit()
            assert sympy.expand(explicit(layer.by_weight, i, j) - by_weight) == 0
            updated = w[i - 1, j - 1] - layer.rate * by_weight
            assert sympy.expand(explicit(layer.updated_weight, i, j) - updated) == 0
            assert sympy.expand(explicit(layer.by_input, i, j) - total.diff(x[j - 1]).doit()) == 0


@pytest.mark.parametrize(
    ("policy", "slope"), [("least-norm", 0), ("midpoint", Rational(1, 2)), ("right", 1), ("torch", 0)]
)
def test_the_update_at_zero_takes_the_slope_of_the_policy(policy: str, slope: object) -> None:
    made = affine(relu, subgradient=policy)
    pieces = in_pieces(made, made.updated_weight)
    weight, step = (
        plain(made, made.weight[made.unit, made.entry]),
        Symbol("g_i", real=True) * Symbol("x_j", real=True),
    )
    assert pieces.breakpoints == (0,)
    assert sympy.expand(pieces.values[0] - (weight - made.rate * slope * step)) == 0
    assert [sympy.expand(piece.expr - weight) for piece in pieces.pieces] == [0, -made.rate * step]


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_by_the_bias_is_the_derivative_times_g(name: str) -> None:
    made = affine(named(name))
    slopes, got = analyse(named(name)).formula_derivative, in_pieces(made, made.by_bias)
    g, z = plain(made, made.gradient[made.unit]), pre_activation_symbol(made)
    assert got.breakpoints == slopes.breakpoints
    for piece, slope in zip(got.pieces, slopes.pieces, strict=True):
        assert piece.expr == g * slope.expr.xreplace({slopes.variable: z})


def test_text_writes_out_the_choice_at_zero(layer: AffineLayer) -> None:
    text = render_layer(affine(relu, subgradient="midpoint"))
    assert "W_ij - η·g_i·x_j/2    z_i = 0   (midpoint)" in text
    assert "at 0 every slope from 0 to 1 is a subgradient; 1/2 is chosen by midpoint" in text
    assert "W_ij                z_i = 0   (least-norm)" in render_layer(layer)


def test_latex_has_balanced_environments_and_braces(layer: AffineLayer) -> None:
    text = render_layer(layer, "latex")
    assert text.count(r"\begin") == text.count(r"\end") > 0
    assert text.count("{") == text.count("}")
    assert r"W_{ij} - \eta g_{i} x_{j} & z_{i} > 0" in text
    assert r"\frac{\partial E}{\partial W_{ij}} &= g_{i} x_{j} f'{\left(z_{i} \right)} =" in text


def test_markdown_shows_the_same_formulas(layer: AffineLayer) -> None:
    text = render_layer(layer, "markdown")
    assert text.startswith("## A layer of relu units")
    assert r"\begin{aligned}" in text


def test_letters_give_way_to_parameters_of_the_activation() -> None:
    assert "z_i = Σ_j W_ij·x_j + c_i" in render_layer(affine(named("squareplus")))
    clash = affine(parse("eta*x + W*x**2", name="clash"))
    assert (str(clash.rate), str(clash.weight)) == ("mu", "V")
    indexed = affine(parse("g_i*x + z_i*x**2", name="indexed"))
    assert (str(indexed.gradient), str(indexed.before)) == ("q", "y")
    assert "dE/db_i = q_i·f'(y_i)" in render_layer(indexed)


def test_long_constants_are_named_once() -> None:
    assert render_layer(affine(named("selu"))).count("c1 = 1.758") == 1


def test_what_cannot_be_a_layer_is_refused(layer: AffineLayer) -> None:
    a, b = sympy.symbols("a b", real=True)
    with pytest.raises(InvalidRequest, match=r"2 inputs \(a, b\).*affine_several"):
        affine(Activation("product", a * b, inputs=(a, b)))
    with pytest.raises(InvalidSubgradient, match="outside the Clarke interval"):
        affine(relu, subgradient=2)
    with pytest.raises(InvalidRequest, match="html"):
        render_layer(layer, "html")
