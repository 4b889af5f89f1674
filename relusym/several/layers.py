"""A layer of units with several inputs each, every one an affine function of x: a maxout layer, a gated layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sympy import Expr, Function, Indexed, IndexedBase, Symbol
from sympy.concrete.delta import deltasummation

from relusym.activation import Activation, Number
from relusym.calculus.subdifferentials import Policy
from relusym.errors import InvalidRequest
from relusym.layers import letters
from relusym.several.table import SeveralAnalysis, analyse_several


@dataclass(frozen=True)
class SeveralLayer:
    """k affine maps of x, z^(q) = W^(q) x + b^(q), and m units h_i = f(z^(1)_i, ..., z^(k)_i).

    A loss E depends on h, with g = dE/dh given. Everything is written for one entry, map q, unit i and input j, in
    indexed symbols: `before` is z, `slope` stands for the derivative of f by its q-th input at the i-th unit.
    `by_weight`, `by_bias` and `by_input` are dE/dW^(q)_ij, dE/db^(q)_i and dE/dx_j; `updated_weight` and
    `updated_bias` are after a step of gradient descent at the rate. f, its gradient and what is taken at kinks and
    ties are those of `analysis`.
    """

    analysis: SeveralAnalysis
    weight: IndexedBase
    bias: IndexedBase
    input: IndexedBase
    gradient: IndexedBase
    before: IndexedBase
    slope: IndexedBase
    rate: Symbol
    map: Symbol
    unit: Symbol
    entry: Symbol
    pre_activation: Expr
    by_weight: Expr
    by_bias: Expr
    by_input: Expr
    updated_weight: Expr
    updated_bias: Expr


def affine_several(
    activation: Activation, parameters: Mapping[str, Number] | None = None, *, subgradient: Policy = "least-norm"
) -> SeveralLayer:
    """Derive the gradients of the layer h = f(W^(1) x + b^(1), ..., W^(k) x + b^(k)), and its update.

    Parameters and `subgradient` as for `analyse_several`, with the same errors; `InvalidRequest` for an activation of
    one input or of several values.
    """
    if len(activation.inputs) < 2 or activation.others:
        raise InvalidRequest(
            f"{activation.name} has {activation.shape}; this layer needs several inputs and one value, and "
            "relusym.affine is about one of each"
        )
    analysis = analyse_several(activation, parameters, subgradient=subgradient)
    name = letters([*map(str, activation.inputs), *(parameter.name for parameter in activation.parameters)])
    weight, bias, x, gradient, before = (
        IndexedBase(name[role]) for role in ("weight", "bias", "input", "gradient", "before")
    )
    slope, rate = IndexedBase("f_"), Symbol(name["rate"], positive=True)
    q, i, j, p, unit, entry = (Symbol(letter, integer=True) for letter in "qijpst")
    units, entries, maps = (Symbol(letter, integer=True, positive=True) for letter in "mnk")

    def partial(by: Expr) -> Expr:
        """DE by one entry: the sum over units s and maps p of g_s f_p(z_s) dz^(p)_s, differentiated term by term."""
        inner = deltasummation((weight[p, unit, entry] * x[entry]).diff(by), (entry, 1, entries), True)
        over_maps = deltasummation(slope[p, unit] * (inner + bias[p, unit].diff(by)), (p, 1, maps), True)
        return deltasummation(gradient[unit] * over_maps, (unit, 1, units), True)

    by_weight, by_bias = partial(weight[q, i, j]), partial(bias[q, i])
    return SeveralLayer(
        analysis=analysis,
        weight=weight,
        bias=bias,
        input=x,
        gradient=gradient,
        before=before,
        slope=slope,
        rate=rate,
        map=q,
        unit=i,
        entry=j,
        pre_activation=deltasummation(weight[q, i, j] * x[j], (j, 1, entries)) + bias[q, i],
        by_weight=by_weight,
        by_bias=by_bias,
        by_input=partial(x[j]),
        updated_weight=weight[q, i, j] - rate * by_weight,
        updated_bias=bias[q, i] - rate * by_bias,
    )


def plain(layer: SeveralLayer, expr: Expr) -> Expr:
    """Plain symbols for indexed ones, for printing: W^(q)_ij for W[q, i, j], and f_q(z_i) for the slope of unit i."""

    def symbol(one: Indexed) -> Expr:
        first, *others = map(str, one.indices)
        if one.base == layer.slope:
            return Function(f"f_{first}")(Symbol(f"{layer.before}_{others[0]}", real=True))
        name = f"{one.base}^({first})_{''.join(others)}" if others else f"{one.base}_{first}"
        return Symbol(name, real=True)

    return expr.xreplace({one: symbol(one) for one in expr.atoms(Indexed)})
