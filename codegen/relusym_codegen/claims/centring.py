"""Where ReLU's values lie: not around 0, and without an upper bound."""

from __future__ import annotations

from functools import partial

from relusym_codegen.claims.citations import CLEVERT, GLOROT
from relusym_codegen.claims.proofs import Theorem, by_theorems, fact_of
from relusym_codegen.claims.statements import Claim

CLAIMS = (
    Claim(
        "relu-not-zero-centred",
        "ReLU's outputs are not centred at 0: for standard normal z their mean is 1/sqrt(2 pi).",
        CLEVERT,
        by_theorems(
            "The mean is 0.3989..., so that the next layer sees inputs that are all of one sign. ELU's is smaller.",
            true=[Theorem("relu", "gaussian_mean = 1/sqrt(2*pi)"), Theorem("elu", "gaussian_mean < 1/sqrt(2*pi)")],
            false=[Theorem("relu", "zero-centred")],
            besides=[partial(fact_of, "elu", "gaussian_mean")],
        ),
    ),
    Claim(
        "elu-zero-centred",
        "ELU's outputs are centred at 0.",
        f"usual comparison tables; {CLEVERT} says nearer to 0, and no more",
        by_theorems(
            "For standard normal z their mean is 0.1605...: nearer to 0 than ReLU's, and not 0. With SELU's two "
            "constants it is 0.",
            true=[Theorem("elu", "gaussian_mean = 0"), Theorem("selu", "gaussian_mean = 0")],
        ),
    ),
    Claim(
        "relu-unbounded",
        "ReLU is unbounded above.",
        GLOROT,
        by_theorems(
            "f(x) = x for x > 0 exceeds every bound; below, 0 bounds it.",
            true=[Theorem("relu", "bounded below")],
            false=[Theorem("relu", "bounded above")],
            besides=[partial(fact_of, "relu", "limits")],
        ),
    ),
)
