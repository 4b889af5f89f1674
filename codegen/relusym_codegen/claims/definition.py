"""What ReLU is: its formula, its range, its pieces, its slopes."""

from __future__ import annotations

from functools import partial

from relusym_codegen.claims.citations import GLOROT, NAIR
from relusym_codegen.claims.proofs import Theorem, by_theorems, kinks_of
from relusym_codegen.claims.statements import Claim

CLAIMS = (
    Claim(
        "relu-formula",
        "ReLU is max(0, x): x where x is positive, and 0 elsewhere.",
        NAIR,
        by_theorems("Both forms agree at every real x.", true=[Theorem("relu", "f(x) = max(0, x)")]),
    ),
    Claim(
        "relu-range",
        "The range of ReLU is [0, oo).",
        NAIR,
        by_theorems(
            "Every number of [0, oo) is a value, 0 included, and no other.", true=[Theorem("relu", "range == [0, oo)")]
        ),
    ),
    Claim(
        "relu-piecewise-linear",
        "ReLU is piecewise linear, and convex.",
        GLOROT,
        by_theorems(
            "f'' is 0 on both sides of the one breakpoint, so that both pieces are straight; they meet at 0.",
            true=[Theorem("relu", "f'' = 0"), Theorem("relu", "continuous"), Theorem("relu", "convex")],
            false=[Theorem("relu", "affine")],
        ),
    ),
    Claim(
        "relu-continuous",
        "ReLU is continuous.",
        GLOROT,
        by_theorems(
            "It is even Lipschitz continuous, with constant 1.",
            true=[Theorem("relu", "continuous"), Theorem("relu", "lipschitz = 1")],
        ),
    ),
    Claim(
        "relu-kink",
        "ReLU is not differentiable at 0.",
        GLOROT,
        by_theorems(
            "The slopes from the left and from the right of 0 are 0 and 1. It is the only point without a derivative.",
            false=[Theorem("relu", "differentiable")],
            besides=[partial(kinks_of, "relu")],
        ),
    ),
    Claim(
        "relu-slopes",
        "The derivative of ReLU is 1 for x > 0 and 0 for x < 0.",
        GLOROT,
        by_theorems(
            "f' is the unit step wherever it exists. At 0 it does not exist, so that no value is left out.",
            true=[Theorem("relu", "f' = heaviside(x)"), Theorem("relu", "derivative_range == {0} union {1}")],
        ),
    ),
)
