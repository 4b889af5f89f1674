"""SELU: the fixed point of mean and variance, derived, and whether activations are drawn to it, measured."""

from __future__ import annotations

from functools import partial

import numpy as np

from relusym_codegen.claims.citations import KLAMBAUER
from relusym_codegen.claims.networks import forwards, hidden, initial
from relusym_codegen.claims.proofs import Theorem, by_theorems, fact_of
from relusym_codegen.claims.statements import Claim, Effort, Measurement, Ruling, Settled

_WIDTH, _DEPTH, _SAMPLES = 256, 50, 128
_STARTS = ((0.0, 2.0), (0.5, 0.5))  # mean and standard deviation of the inputs


def _attracted(effort: Effort) -> Settled:
    """Random weights of mean 0 and variance 1/inputs, as the theorem asks for."""
    measurements, near = [], True
    for mean, deviation in _STARTS:
        found = [_moments(mean, deviation, seed) for seed in effort.seeds]
        start = f"inputs of mean {mean:g} and variance {deviation**2:g}"
        for depth in (1, 10, _DEPTH):
            means, variances = zip(*(layers[depth - 1] for layers in found), strict=True)
            measurements += [
                Measurement(f"{start}: mean at layer {depth}", means),
                Measurement(f"{start}: variance at layer {depth}", variances),
            ]
        last = np.mean([layers[-1] for layers in found], axis=0)
        near &= bool(abs(last[0]) < 0.1 and abs(last[1] - 1) < 0.25)
    return Settled(
        Ruling.MEASURED,
        f"After {_DEPTH} layers of {_WIDTH} units mean and variance are near 0 and 1, wherever they began.",
        measurements=tuple(measurements),
        supported=near,
    )


def _moments(mean: float, deviation: float, seed: int) -> list[tuple[float, float]]:
    """Mean and variance over all units and samples of a layer, for every layer."""
    random = np.random.default_rng(seed)
    weights = initial(random, [_WIDTH] * (_DEPTH + 1) + [1], 1.0)
    x = (mean + deviation * random.standard_normal((_SAMPLES, _WIDTH))).astype(np.float32)
    layers = forwards(hidden("selu", _DEPTH), weights, x).inputs[1:]
    return [(float(np.mean(h, dtype=np.float64)), float(np.var(h, dtype=np.float64))) for h in layers]


CLAIMS = (
    Claim(
        "selu-fixed-point",
        "SELU keeps mean 0 and variance 1: with its two constants they are a fixed point for normal pre-activations.",
        f"{KLAMBAUER}, eq. 14",
        by_theorems(
            "For standard normal z its values have mean exactly 0 and second moment exactly 1. The constants follow "
            "from these two equations in closed form.",
            true=[Theorem("selu", "gaussian_mean = 0"), Theorem("selu", "gaussian_second_moment = 1")],
            besides=[partial(fact_of, "selu", "constants")],
        ),
    ),
    Claim("selu-attraction", "Mean and variance of SELU networks are drawn to 0 and 1.", KLAMBAUER, _attracted),
)
