"""A layer of units, h = f(W x + b), and what training needs of it: gradients of a loss, and the step against them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sympy import Expr, Function, Indexed, IndexedBase, Symbol
from sympy.concrete.delta import deltasummation

from relusym.activation import Activation, Number
from relusym.analysis import Analysis, analyse
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.pieces import Piece, Pieces

_LETTERS = {
    "weight": ("W", "V", "U"),
    "bias": ("b", "c", "d"),
    "input": ("x", "u", "v"),
    "gradient": ("g", "q", "r"),
    "before": ("z", "y", "s"),
    "rate": ("eta", "mu", "rho"),
}
"""What the symbols are called, and what instead where the activation has a symbol of that name, or one like g_i."""


def letters(taken: Iterable[str]) -> dict[str, str]:
    """A letter for each role in a layer, other than the names that the activation has taken."""
    used = {name.partition("_")[0] for name in taken}
    return {role: next(one for one in names if one not in used) for role, names in _LETTERS.items()}


@dataclass(frozen=True)
class AffineLayer:
    """m units with n inputs: z = W x + b, h = f(z), and a loss E that depends on h, with g = dE/dh given.

    Everything is written for one entry, unit i and input j, in indexed symbols: `before` is z, `slope` stands for
    f'(z), and `pre_activation` is z_i written out. `by_weight`, `by_bias` and `by_input` are dE/dW_ij, dE/db_i and
    dE/dx_j; `updated_weight` and `updated_bias` are W_ij and b_i after a step of gradient descent at the rate. f, f'
    and the value chosen at each kink are those of `analysis`.
    """

    analysis: Analysis
    weight: IndexedBase
    bias: IndexedBase
    input: IndexedBase
    gradient: IndexedBase
    before: IndexedBase
    slope: IndexedBase
    rate: Symbol
    unit: Symbol
    entry: Symbol
    pre_activation: Expr
    by_weight: Expr
    by_bias: Expr
    by_input: Expr
    updated_weight: Expr
    updated_bias: Expr


def affine(
    activation: Activation, parameters: Mapping[str, Number] | None = None, *, subgradient: Policy = "least-norm"
) -> AffineLayer:
    """Derive the gradients of the layer h = f(W x + b), and its update.

    Parameters that are not given stay symbols where their assumptions allow it; `subgradient` is what f' is at kinks,
    as for `analyse`, with the same errors. Raises `InvalidRequest` for an activation of several inputs or values.
    """
    if not activation.is_scalar:
        raise InvalidRequest(
            f"{activation.name} has {activation.shape}; a layer h = f(W x + b) needs one of each, and "
            "relusym.affine_several is about units of several inputs"
        )
    analysis = analyse(activation, parameters, subgradient=subgradient)
    name = letters(parameter.name for parameter in activation.parameters)
    weight, bias, x, gradient, before = (
        IndexedBase(name[role]) for role in ("weight", "bias", "input", "gradient", "before")
    )
    slope, rate = IndexedBase("f'"), Symbol(name["rate"], positive=True)
    i, j = Symbol("i", integer=True), Symbol("j", integer=True)
    k, l = Symbol("k", integer=True), Symbol("l", integer=True)  # noqa: E741
    units, entries = (Symbol(letter, integer=True, positive=True) for letter in "mn")

    def partial(by: Expr) -> Expr:
        """DE by one entry: the sum over units k of g_k f'(z_k) dz_k, each z_k differentiated term by term."""
        inner = deltasummation((weight[k, l] * x[l]).diff(by), (l, 1, entries), True) + bias[k].diff(by)
        return deltasummation(gradient[k] * slope[k] * inner, (k, 1, units), True)

    by_weight, by_bias = partial(weight[i, j]), partial(bias[i])
    return AffineLayer(
        analysis=analysis,
        weight=weight,
        bias=bias,
        input=x,
        gradient=gradient,
        before=before,
        slope=slope,
        rate=rate,
        unit=i,
        entry=j,
        pre_activation=deltasummation(weight[i, j] * x[j], (j, 1, entries)) + bias[i],
        by_weight=by_weight,
        by_bias=by_bias,
        by_input=partial(x[j]),
        updated_weight=weight[i, j] - rate * by_weight,
        updated_bias=bias[i] - rate * by_bias,
    )


def in_pieces(layer: AffineLayer, entry: Expr) -> Pieces:
    """A formula for one entry, such as `by_weight`, over the values of z_i: f'(z_i) written out on every piece.

    Between the pieces stand the values that the subgradient policy chose. Indexed symbols become plain ones, z_i, W_ij.
    """
    slopes = layer.analysis.formula_derivative
    z = pre_activation_symbol(layer)

    def at(slope: Expr) -> Expr:
        return plain(layer, entry.xreplace({layer.slope[layer.unit]: slope.xreplace({slopes.variable: z})}))

    pieces = tuple(Piece(at(piece.expr), piece.lower, piece.upper) for piece in slopes.pieces)
    return Pieces(z, pieces, slopes.breakpoints, tuple(map(at, slopes.values)))


def pre_activation_symbol(layer: AffineLayer) -> Symbol:
    """z_i as a plain symbol."""
    return Symbol(f"{layer.before}_{layer.unit}", real=True)


def plain(layer: AffineLayer, expr: Expr) -> Expr:
    """Plain symbols for indexed ones, for printing: W_ij for W[i, j], and f'(z_i) for the slope of unit i."""

    def symbol(one: Indexed) -> Expr:
        indices = "".join(map(str, one.indices))
        if one.base == layer.slope:
            return Function("f'")(Symbol(f"{layer.before}_{indices}", real=True))
        return Symbol(f"{one.base}_{indices}", real=True)

    return expr.xreplace({one: symbol(one) for one in expr.atoms(Indexed)})
