"""Gradients through depth: how their norms change from layer to layer, by initialisation and activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relusym_codegen.claims.citations import DEPTH, HE
from relusym_codegen.claims.networks import backwards, forward_gain, forwards, hidden, initial
from relusym_codegen.claims.statements import Band, Claim, Curves, Effort, Measurement, Ruling, Settled

LAYERS, _WIDTH, _SAMPLES = 50, 128, 32
_CASES = (("relu", "He"), ("relu", "Xavier"), ("tanh", "Xavier"), ("sigmoid", "Xavier"))


def gradient_norms(activation: str, gain: float, seed: int) -> tuple[float, ...]:
    """The norm of the gradient after 1, 2, ..., LAYERS layers backwards, as a share of its norm at the output."""
    random = np.random.default_rng(seed)
    layers = hidden(activation, LAYERS, "float64")[:-1]
    weights = initial(random, [_WIDTH] * (LAYERS + 1), gain, dtype="float64")
    passed = forwards(layers, weights, random.standard_normal((_SAMPLES, _WIDTH)))
    grad = random.standard_normal(passed.output.shape)
    start, norms = float(np.linalg.norm(grad)), []
    for number in reversed(range(LAYERS)):
        _, grad = backwards(layers[number : number + 1], weights[number : number + 1], passed.of(number), grad)
        norms.append(float(np.linalg.norm(grad)) / start)
    return tuple(norms)


def _gains() -> dict[str, float]:
    """He's is the derived gain of ReLU; Xavier's is 1, the variance being 1/inputs for layers of equal width."""
    return {"He": forward_gain("relu"), "Xavier": 1.0}


def _through_depth(effort: Effort) -> Settled:
    gains = _gains()
    norms = {
        f"{activation}, {name}": [gradient_norms(activation, gains[name], seed) for seed in effort.seeds]
        for activation, name in _CASES
    }
    per_layer = {case: [samples[-1] ** (1 / LAYERS) for samples in runs] for case, runs in norms.items()}
    measurements = [
        Measurement(f"{case}: gradient norm at depth {depth}", tuple(samples[depth - 1] for samples in runs))
        for case, runs in norms.items()
        for depth in (1, 10, LAYERS)
    ]
    measurements += [Measurement(f"{case}: factor per layer", tuple(factors)) for case, factors in per_layer.items()]
    he, xavier = (float(np.mean(per_layer[case])) for case in ("relu, He", "relu, Xavier"))
    says = (
        f"A layer of {_WIDTH} ReLU units changes the norm by a factor of {he:.3f} under He's initialisation (theory: "
        f"1) and {xavier:.3f} under Xavier's (theory: 1/sqrt(2) = 0.707), which after {LAYERS} layers is "
        f"{xavier**LAYERS:.1e}."
    )
    return Settled(
        Ruling.MEASURED,
        says,
        measurements=tuple(measurements),
        supported=abs(he - 1) < 0.05 and abs(xavier - 0.5**0.5) < 0.05,
        curves=Curves(
            "depth",
            "Gradient norm through depth",
            "layers backwards",
            "norm, as a share of that at the output",
            tuple(float(n) for n in range(1, LAYERS + 1)),
            tuple(band(case, runs) for case, runs in norms.items()),
        ),
    )


def band(label: str, runs: Sequence[Sequence[float]]) -> Band:
    """The median of the runs at every place, and the least and greatest."""
    table = np.array(runs)
    return Band(label, tuple(np.median(table, axis=0)), tuple(table.min(axis=0)), tuple(table.max(axis=0)))


CLAIMS = (
    Claim(
        "gradient-through-depth",
        "Under He's initialisation ReLU's gradient keeps its size through 50 layers; under Xavier's it shrinks by "
        "sqrt(2) in each of them.",
        f"{HE}, eq. 10 and 14; {DEPTH}, eq. 12",
        _through_depth,
    ),
)
