"""ReLU's relatives: leaky and parametric ReLU, ELU, SELU's constants."""

from __future__ import annotations

from functools import partial

from sympy import Symbol

from relusym_codegen.claims.citations import CLEVERT, HE, MAAS
from relusym_codegen.claims.proofs import Known, Theorem, by_theorems, fact_of, general_fact_of, signed
from relusym_codegen.claims.statements import Claim

_LEAKY = "f(x) = max(negative_slope*x, x)"
_PARAMETRIC = "f(x) = max(alpha*x, x)"


def _for_all_slopes() -> tuple[Known, ...]:
    """In symbols: which of alpha x and x is the larger one on each side of 0, for alpha = 1 - t and alpha = 1 + t."""
    distance, more = Symbol("d", positive=True), Symbol("t", positive=True)
    below, above = 1 - Symbol("t", nonnegative=True), 1 + more
    return tuple(
        partial(signed, subject, claim, difference)
        for subject, claim, difference in (
            ("alpha = 1 - t, t >= 0", "x - alpha x >= 0 at x = d > 0", distance - below * distance),
            ("alpha = 1 - t, t >= 0", "alpha x - x >= 0 at x = -d < 0", -below * distance + distance),
        )
    ) + tuple(
        partial(signed, "alpha = 1 + t, t > 0", claim, above * distance - distance, strictly=True)
        for claim in ("alpha x > x at x = d > 0", "x > alpha x at x = -d < 0")
    )


CLAIMS = (
    Claim(
        "leaky-as-maximum",
        "Leaky ReLU and PReLU are max(alpha x, x).",
        f"{MAAS}; {HE}, eq. 1",
        by_theorems(
            "Exactly for alpha <= 1. A maximum of lines is convex, and f is convex exactly for alpha <= 1; a learned "
            "alpha may leave that range, where f is the minimum of the two.",
            true=[
                Theorem("leaky_relu", _LEAKY),
                Theorem("prelu", _PARAMETRIC),
                Theorem("prelu", _PARAMETRIC, {"alpha": -1}),
                Theorem("prelu", _PARAMETRIC, {"alpha": 1}),
                Theorem("prelu", "f(x) = min(alpha*x, x)", {"alpha": 2}),
            ],
            exceptions=[
                Theorem("leaky_relu", _LEAKY, {"negative_slope": 2}),
                Theorem("prelu", _PARAMETRIC, {"alpha": 2}),
            ],
            besides=[partial(general_fact_of, "prelu", "convexity"), *_for_all_slopes()],
        ),
    ),
    Claim(
        "elu-range",
        "The range of ELU is (-alpha, oo).",
        f"{CLEVERT}, eq. 15",
        by_theorems(
            "For every alpha > 0; -alpha itself is approached and never reached.",
            true=[
                Theorem("elu", "range == (-1, oo)"),
                Theorem("elu", "range == (-2, oo)", {"alpha": 2}),
                Theorem("elu", "range == (-1/3, oo)", {"alpha": "1/3"}),
            ],
            besides=[partial(general_fact_of, "elu", "range")],
        ),
    ),
    Claim(
        "elu-smooth",
        "ELU is smooth, unlike ReLU.",
        f"{CLEVERT}, eq. 15",
        by_theorems(
            "f' is continuous if and only if alpha = 1; for any other alpha there is a kink at 0, with slopes alpha "
            "and 1. Even for alpha = 1 f'' jumps at 0, from 1 to 0, so that ELU is C^1 and not C^2.",
            true=[Theorem("elu", "differentiable")],
            exceptions=[
                Theorem("elu", "smooth"),
                Theorem("elu", "differentiable", {"alpha": 2}),
                Theorem("elu", "differentiable", {"alpha": "1/2"}),
            ],
            besides=[partial(fact_of, "elu", "continuity_class"), partial(general_fact_of, "elu", "continuity_class")],
        ),
    ),
)
