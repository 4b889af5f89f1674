"""A layer of units of several inputs: gradients and update, in symbols and at exact numbers."""

import itertools
from fractions import Fraction

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sympy import Symbol, symbols

from relusym import affine, affine_several, crelu, glu, maxout, subdifferential_at, swiglu
from relusym.activation import Activation
from relusym.errors import InvalidRequest
from relusym.formulas.several_layer import render_several_layer
from relusym.several import SeveralLayer

WHOLE = st.integers(-4, 4)
MAPS, UNITS, ENTRIES = 2, 2, 2


@pytest.fixture(scope="module")
def layer() -> SeveralLayer:
    return affine_several(maxout(2))


def entry_of(layer: SeveralLayer, formula: sympy.Expr, q: int, i: int, j: int) -> sympy.Expr:
    """A formula for one entry, in the indexed symbols of so many maps, units and entries."""
    sizes = {
        Symbol(letter, integer=True, positive=True): size
        for letter, size in zip("mnk", (UNITS, ENTRIES, MAPS), strict=True)
    }
    summed = formula.xreplace(sizes).doit()  # first: an index may be that of a sum
    return summed.xreplace({layer.map: q, layer.unit: i, layer.entry: j})


def test_every_entry_is_what_explicit_differentiation_gives(layer: SeveralLayer) -> None:
    """A loss that mixes the units, and an f of which nothing is known."""
    plain = {
        **{layer.weight[q, i, j]: Symbol(f"w{q}{i}{j}") for q in (1, 2) for i in (1, 2) for j in (1, 2)},
        **{layer.bias[q, i]: Symbol(f"b{q}{i}") for q in (1, 2) for i in (1, 2)},
        **{layer.input[j]: Symbol(f"x{j}") for j in (1, 2)},
    }
    f, h = sympy.Function("f"), symbols("h1:3")
    u, v = symbols("u v")
    before = {
        (q, i): entry_of(layer, layer.pre_activation, q, i, 1).doit().xreplace(plain) for q in (1, 2) for i in (1, 2)
    }
    outputs = {h[i - 1]: f(before[1, i], before[2, i]) for i in (1, 2)}
    loss = h[0] ** 2 * h[1] + 3 * h[1] - h[0]
    total = loss.subs(outputs)
    slopes = {
        layer.slope[q, i]: f(u, v).diff((u, v)[q - 1]).subs({u: before[1, i], v: before[2, i]}).doit()
        for q in (1, 2)
        for i in (1, 2)
    }
    known = {**plain, **slopes, **{layer.gradient[i]: loss.diff(h[i - 1]).subs(outputs) for i in (1, 2)}}

    def derived(formula: sympy.Expr, q: int, i: int, j: int) -> sympy.Expr:
        return entry_of(layer, formula, q, i, j).xreplace(known)

    for q, i in ((1, 1), (1, 2), (2, 1)):
        assert sympy.expand(derived(layer.by_bias, q, i, 1) - total.diff(plain[layer.bias[q, i]]).doit()) == 0
        for j in (1, 2):
            by_weight = total.diff(plain[layer.weight[q, i, j]]).doit()
            assert sympy.expand(derived(layer.by_weight, q, i, j) - by_weight) == 0
            updated = plain[layer.weight[q, i, j]] - layer.rate * by_weight
            assert sympy.expand(derived(layer.updated_weight, q, i, j) - updated) == 0
    for j in (1, 2):
        assert sympy.expand(derived(layer.by_input, 1, 1, j) - total.diff(plain[layer.input[j]]).doit()) == 0


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_gradients_of_a_maxout_layer_are_exact_quotients_of_the_loss_off_the_ties(
    layer: SeveralLayer, data: st.DataObject
) -> None:
    weight = {(q, i, j): data.draw(WHOLE) for q in (1, 2) for i in (1, 2) for j in (1, 2)}
    bias = {(q, i): data.draw(WHOLE) for q in (1, 2) for i in (1, 2)}
    x, g = ({n: data.draw(WHOLE) for n in (1, 2)} for _ in range(2))

    def before(q: int, i: int, x: dict[int, Fraction | int]) -> Fraction:
        return Fraction(sum(weight[q, i, j] * x[j] for j in (1, 2)) + bias[q, i])

    def loss(x: dict[int, Fraction | int]) -> Fraction:
        return sum((g[i] * max(before(1, i, x), before(2, i, x)) for i in (1, 2)), Fraction(0))

    assume(all(before(1, i, x) != before(2, i, x) for i in (1, 2)))
    taken = {i: subdifferential_at(maxout(2), {f"z{q}": before(q, i, x) for q in (1, 2)}).least_norm for i in (1, 2)}
    known = {
        **{layer.weight[index]: value for index, value in weight.items()},
        **{layer.gradient[i]: g[i] for i in (1, 2)},
        **{layer.slope[q, i]: taken[i][q - 1] for q in (1, 2) for i in (1, 2)},
    }
    step = Fraction(1, 1000)
    for j in (1, 2):
        quotient = (loss({**x, j: x[j] + step}) - loss(x)) / step
        assert entry_of(layer, layer.by_input, 1, 1, j).xreplace(known) == sympy.Rational(quotient)


@pytest.mark.parametrize(("activation", "forward"), [(maxout(2), "amax"), (glu, "glu")], ids=["maxout2", "glu"])
def test_the_formulas_agree_with_autograd_at_ties_too(activation: Activation, forward: str) -> None:
    """Least-norm shares equally among the largest inputs, as `torch.amax` does; the first unit is at a tie."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch's autograd")
    weight = torch.tensor([[[1.0, -2.0], [0.5, 1.0]], [[1.0, -2.0], [2.0, 0.25]]], requires_grad=True)
    bias = torch.tensor([[0.5, 1.0], [0.5, -1.0]], requires_grad=True)
    x, g = torch.tensor([1.5, -0.5], requires_grad=True), torch.tensor([2.0, -3.0])
    z = (weight @ x + bias).double()
    (z.amax(0) if forward == "amax" else z[0] * torch.sigmoid(z[1])).backward(g.double())
    made = affine_several(activation)
    slopes = {}
    for i in (1, 2):
        point = dict(zip(map(str, activation.inputs), z[:, i - 1].tolist(), strict=True))
        taken = subdifferential_at(activation, point).least_norm
        slopes |= {made.slope[q, i]: slope for q, slope in enumerate(taken, 1)}
    known = {
        **slopes,
        **{made.weight[q, i, j]: weight[q - 1, i - 1, j - 1].item() for q in (1, 2) for i in (1, 2) for j in (1, 2)},
        **{made.input[j]: x[j - 1].item() for j in (1, 2)},
        **{made.gradient[i]: g[i - 1].item() for i in (1, 2)},
    }

    def number(formula: sympy.Expr, q: int, i: int, j: int) -> float:
        return float(entry_of(made, formula, q, i, j).xreplace(known))

    for q, i, j in itertools.product((1, 2), repeat=3):
        assert number(made.by_weight, q, i, j) == pytest.approx(weight.grad[q - 1, i - 1, j - 1].item(), rel=1e-6)
        assert number(made.by_bias, q, i, j) == pytest.approx(bias.grad[q - 1, i - 1].item(), rel=1e-6)
        assert number(made.by_input, q, i, j) == pytest.approx(x.grad[j - 1].item(), rel=1e-6)


@pytest.mark.parametrize("form", ["text", "latex", "markdown"])
@pytest.mark.parametrize("activation", [maxout(3), swiglu], ids=lambda activation: activation.name)
def test_the_layer_is_printed_with_its_choice_at_ties(activation: Activation, form: str) -> None:
    text = render_several_layer(affine_several(activation), form)
    assert "Sum(" not in text
    assert "KroneckerDelta" not in text
    if activation.name == "maxout3":
        assert "largest inputs, where several are" in text
    else:
        assert r"c^{(q)}_{i}" in text or "c^(q)_i" in text  # b is an input of the unit
    if form != "text":
        assert text.count("{") == text.count("}")


def test_another_form_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="text, latex, markdown, not as 'json'"):
        render_several_layer(affine_several(glu), "json")


def test_each_kind_of_unit_has_its_own_layer() -> None:
    with pytest.raises(InvalidRequest, match="needs several inputs and one value"):
        affine_several(crelu)
    with pytest.raises(InvalidRequest, match="affine_several"):
        affine(maxout(2))
