"""Slopes through many layers: what their product is, or is bounded by."""

from __future__ import annotations

from functools import partial

from relusym_codegen.claims.citations import DEPTH, GLOROT
from relusym_codegen.claims.proofs import Theorem, by_theorems, fact_of
from relusym_codegen.claims.statements import Claim

CLAIMS = (
    Claim(
        "relu-gradient-passes",
        "ReLU's gradient does not vanish for positive inputs: through n active units the product of the slopes is 1.",
        GLOROT,
        by_theorems(
            "Every slope is 0 or 1, and 1 for x > 0, so that the product of n of them is 1 where all units are "
            "active and 0 where one is not: the activation neither shrinks nor scales what comes through. What the "
            "weights do is another matter, and is measured below.",
            true=[Theorem("relu", "derivative_range == {0} union {1}"), Theorem("relu", "f' = heaviside(x)")],
            besides=[partial(fact_of, "relu", "vanishing_gradient")],
        ),
    ),
    Claim(
        "sigmoid-gradient-vanishes",
        "The product of the slopes of n sigmoids is at most (1/4)^n.",
        DEPTH,
        by_theorems(
            f"A slope is at most 1/4, and exactly that at 0 only. Through 10 layers at most {0.25**10:.2g} is left, "
            f"through 50 at most {0.25**50:.2g}.",
            true=[Theorem("sigmoid", "0 < f' <= 1/4"), Theorem("sigmoid", "lipschitz = 1/4")],
            besides=[partial(fact_of, "sigmoid", "vanishing_gradient")],
        ),
    ),
    Claim(
        "tanh-gradient-vanishes",
        "The product of the slopes of n hyperbolic tangents vanishes with n, as for the sigmoid.",
        DEPTH,
        by_theorems(
            "Not by a bound that holds everywhere: at 0 the slope is 1, and so is the product. It vanishes where the "
            "pre-activations stay away from 0, for a slope is at most 1/(1 + x^2): with |x| >= 1 at least half is "
            "lost in each layer.",
            true=[Theorem("tanh", "0 < f' <= 1"), Theorem("tanh", "f' * (1 + x**2) <= 1")],
            exceptions=[Theorem("tanh", "f' < 1")],
            besides=[partial(fact_of, "tanh", "vanishing_gradient")],
        ),
    ),
)
