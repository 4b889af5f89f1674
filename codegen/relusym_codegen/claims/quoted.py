"""Results of papers that no formula and no small run can give; they are quoted as such."""

from __future__ import annotations

from relusym_codegen.claims.citations import BERTOIN, HE, KRIZHEVSKY
from relusym_codegen.claims.statements import Claim, Effort, Ruling, Settled


def _quoted(_: Effort) -> Settled:
    return Settled(
        Ruling.QUOTED,
        "A result of training large networks on one data set. It follows from no property of the function, and is "
        "not repeated here.",
    )


CLAIMS = (
    Claim(
        "six-times-faster",
        "A convolutional network of ReLU units reaches 25 % training error on CIFAR-10 about six times sooner than "
        "one of tanh units.",
        f"{KRIZHEVSKY}, section 3.1",
        _quoted,
    ),
    Claim(
        "better-than-people",
        "Networks of PReLU units reach 4.94 % top-5 error on ImageNet.",
        HE,
        _quoted,
    ),
    Claim(
        "relu-at-zero-imagenet",
        "Between ReLU'(0) = 0 and 1 lie more than ten points of accuracy on ImageNet.",
        BERTOIN,
        _quoted,
    ),
)
