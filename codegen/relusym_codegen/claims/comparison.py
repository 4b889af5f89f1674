"""Rows of the usual comparison table: sigmoid, tanh, GELU."""

from __future__ import annotations

from functools import partial

from relusym_codegen.claims.citations import DEPTH, GELU
from relusym_codegen.claims.proofs import Theorem, by_theorems, fact_of
from relusym_codegen.claims.statements import Claim

CLAIMS = (
    Claim(
        "sigmoid-row",
        "Sigmoid: range (0, 1), smooth, saturates at both ends, largest slope 1/4, not centred at 0.",
        DEPTH,
        by_theorems(
            "For standard normal z the mean of its values is 1/2; the ends of the range are never reached.",
            true=[
                Theorem("sigmoid", "range == (0, 1)"),
                Theorem("sigmoid", "smooth"),
                Theorem("sigmoid", "saturating"),
                Theorem("sigmoid", "lipschitz = 1/4"),
                Theorem("sigmoid", "gaussian_mean = 1/2"),
            ],
            false=[Theorem("sigmoid", "zero-centred")],
            besides=[partial(fact_of, "sigmoid", "saturates")],
        ),
    ),
    Claim(
        "tanh-row",
        "Tanh: range (-1, 1), smooth, saturates at both ends, largest slope 1, centred at 0.",
        DEPTH,
        by_theorems(
            "It is odd, so that its values are centred for every symmetric z.",
            true=[
                Theorem("tanh", "range == (-1, 1)"),
                Theorem("tanh", "smooth"),
                Theorem("tanh", "saturating"),
                Theorem("tanh", "lipschitz = 1"),
                Theorem("tanh", "zero-centred"),
                Theorem("tanh", "odd"),
            ],
            besides=[partial(fact_of, "tanh", "saturates")],
        ),
    ),
    Claim(
        "gelu-row",
        "GELU: smooth, not monotone, bounded below by -0.17, unbounded above.",
        GELU,
        by_theorems(
            "The least value is -0.16997..., so that -0.17 is a bound and not a value; the largest slope exceeds 1.",
            true=[
                Theorem("gelu", "smooth"),
                Theorem("gelu", "range subset [-0.17, oo)"),
                Theorem("gelu", "lipschitz > 1"),
                Theorem("gelu", "f(x) - f(-x) = x"),
            ],
            false=[Theorem("gelu", "monotone"), Theorem("gelu", "bounded above"), Theorem("gelu", "convex")],
            besides=[partial(fact_of, "gelu", "range"), partial(fact_of, "gelu", "argmin")],
        ),
    ),
    Claim(
        "gelu-range",
        "The range of GELU is [-0.17, oo).",
        "usual comparison tables",
        by_theorems(
            "-0.17 is the least value rounded to two digits, and lies below it.",
            true=[Theorem("gelu", "range == [-0.17, oo)")],
            besides=[partial(fact_of, "gelu", "range")],
        ),
    ),
)
