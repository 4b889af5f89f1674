"""How many units of ReLU are active."""

from __future__ import annotations

import numpy as np

from relusym.parsing import parse
from relusym_codegen.claims.citations import GLOROT
from relusym_codegen.claims.networks import forward_gain, forwards, hidden, initial
from relusym_codegen.claims.proofs import Theorem, by_theorems
from relusym_codegen.claims.statements import Claim, Effort, Measurement, Settled

_WIDTH, _DEPTH, _SAMPLES = 256, 10, 256


def _half_active(effort: Effort) -> Settled:
    """P(f(z) = 0) for normal z is a theorem; how far a network is from it at the start is measured."""
    shifted = parse("max(0, x - 1)", name="shifted")
    proved = by_theorems(
        "Where the pre-activations are symmetric about 0: for every normal z of mean 0 the probability is exactly "
        "1/2, as for any symmetric law that gives 0 no weight. Around another mean it is not: at -1 standard "
        "deviations 0.16 of them are active. A network with symmetric weights and no bias keeps the half on average "
        "in every layer; single units differ, the more the deeper they are.",
        true=[Theorem("relu", "zero_probability = 1/2")],
        exceptions=[Theorem(shifted, "zero_probability = 1/2")],
    )(effort)
    shares = [_shares(seed) for seed in effort.seeds]
    measurements = []
    for number in (1, _DEPTH):
        of_layer = [units[number - 1] for units in shares]
        measurements += [
            Measurement(f"share of active units, layer {number}", tuple(float(np.mean(share)) for share in of_layer)),
            Measurement(
                f"standard deviation between units, layer {number}", tuple(float(np.std(share)) for share in of_layer)
            ),
        ]
    return Settled(proved.ruling, proved.says, proved.evidence, tuple(measurements))


def _shares(seed: int) -> list[np.ndarray]:
    """For every layer, the share of samples at which each unit is active, at random weights."""
    random = np.random.default_rng(seed)
    weights = initial(random, [_WIDTH] * (_DEPTH + 1) + [1], forward_gain("relu"))
    x = random.standard_normal((_SAMPLES, _WIDTH)).astype(np.float32)
    passed = forwards(hidden("relu", _DEPTH), weights, x)
    return [np.mean(units > 0, axis=0) for units in passed.inputs[1:]]


CLAIMS = (
    Claim(
        "half-active",
        "Half of the units of a ReLU layer are active.",
        GLOROT,
        _half_active,
    ),
)
