"""The slope at 0: which values are subgradients, what another one does, and whether the choice is ever met."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from sympy import Symbol

from relusym import conventions
from relusym.errors import InvalidSubgradient
from relusym.formulas.text import expression_text
from relusym_codegen.claims.citations import BERTOIN, GLOROT
from relusym_codegen.claims.networks import Run, forward_gain, forwards, hidden, initial, layer, moons, train
from relusym_codegen.claims.proofs import Known, Theorem, by_theorems, kinks_of, signed
from relusym_codegen.claims.statements import Claim, Effort, Evidence, Measurement, Ruling, Settled
from relusym_codegen.layers import affine_kernels

_WIDTH, _SAMPLES, _BATCH, _STEPS = 32, 128, 32, 200
_SLOPES = ("0", "0.5", "1")


def _any_subgradient(effort: Effort) -> Settled:
    proved = by_theorems(
        "s is a subgradient at 0 where f(x) >= s x for all x. That holds for both ends of [0, 1], hence for what "
        "lies between them, and for no other s. With a slope outside, a step can go the wrong way: at z = 0, where "
        "ReLU is least, s = -1/2 makes gradient descent on E = f(z) raise E (below). Kernels are therefore refused "
        "such a slope.",
        true=[Theorem("relu", "f(x) >= 0*x"), Theorem("relu", "f(x) >= x/2"), Theorem("relu", "f(x) >= x")],
        false=[Theorem("relu", "f(x) >= 3*x/2"), Theorem("relu", "f(x) >= -x/2")],
        besides=[partial(kinks_of, "relu"), *_beyond()],
    )(effort)
    return Settled(proved.ruling, proved.says, (*proved.evidence, *_outside()))


def _beyond() -> tuple[Known, ...]:
    """For every slope above 1 and every one below 0 a place at which the line lies above ReLU."""
    t = Symbol("t", positive=True)
    return (
        partial(signed, "s = 1 + t, t > 0", "s x > f(x) at x = 1", (1 + t) * 1 - 1, strictly=True),
        partial(signed, "s = -t, t > 0", "s x > f(x) at x = -1", -t * -1 - 0, strictly=True),
    )


def _outside() -> Iterator[Evidence]:
    """A step with a slope that is no subgradient, and with two that are; what `generate` says to such a slope."""
    forward = layer("relu", "float64").forward
    for slope in (-0.5, 0.0, 1.0):
        after = float(forward(np.array([0.0 - 1.0 * slope]))[0])
        yield Evidence(
            "relu",
            f"E = f(z) at z = 0, after one step at rate 1 with the slope {slope:g} there",
            "computed",
            f"{after:g}, and 0 before",
        )
    try:
        affine_kernels("relu", subgradient=-0.5)
    except InvalidSubgradient as refusal:
        yield Evidence(
            "relu", "a kernel with the slope -1/2 at 0", "computed", "refused: " + str(refusal).split(";")[0]
        )


def _zero_at_zero(effort: Effort) -> Settled:
    """The claim would need a derivative at 0."""
    refuted = by_theorems(
        "There is no derivative at 0: the slopes on both sides differ. The value is a convention, on which "
        "frameworks agree; it is the subgradient of least norm.",
        true=[Theorem("relu", "differentiable")],
    )(effort)
    rows = [row for row in conventions.table(["relu"]).rows if row.taken]
    agreed = tuple(
        Evidence(
            name,
            f"takes {expression_text(slope)} for f'({expression_text(row.at)})",
            "measured",
            "`relusym conventions`",
        )
        for row in rows
        for name, slope in row.taken.items()
    )
    return Settled(refuted.ruling, refuted.says, (*refuted.evidence, *agreed))


def _matters(effort: Effort) -> Settled:
    """Trainings that differ in ReLU'(0) alone, in two formats."""
    measurements, changed = [], {}
    for dtype in ("float16", "float32"):
        runs = {seed: {slope: _run(seed, dtype, slope, effort) for slope in _SLOPES} for seed in effort.seeds}
        zeros = [_zeros(seed, dtype, effort) for seed in effort.seeds]
        changed[dtype] = [max(_distance(one["0"], one[slope]) for slope in ("0.5", "1")) for one in runs.values()]
        measurements += [
            Measurement(f"{dtype}: pre-activations that are exactly 0, in a million", tuple(zeros)),
            Measurement(f"{dtype}: largest change of a weight by ReLU'(0)", tuple(changed[dtype])),
            *(
                Measurement(
                    f"{dtype}: loss at the end, ReLU'(0) = {slope}",
                    tuple(one[slope].losses[-1] for one in runs.values()),
                )
                for slope in _SLOPES
            ),
        ]
    differing = {dtype: sum(change > 0 for change in changes) for dtype, changes in changed.items()}
    seeds = len(effort.seeds)
    says = (
        f"Trainings that differ in ReLU'(0) alone end with other weights in {differing['float16']} of {seeds} seeds "
        f"in float16, and in {differing['float32']} of {seeds} in float32. The more digits, the rarer a sum that is "
        "exactly 0."
    )
    return Settled(
        Ruling.MEASURED,
        says,
        measurements=tuple(measurements),
        supported=differing["float16"] > 0 and bool(np.mean(changed["float16"]) > np.mean(changed["float32"])),
    )


def _run(seed: int, dtype: str, slope: str, effort: Effort) -> Run:
    random = np.random.default_rng(seed)
    x, signs = moons(random, _SAMPLES, dtype=dtype)
    weights = initial(random, (2, _WIDTH, _WIDTH, 1), forward_gain("relu"), dtype=dtype)
    layers = hidden("relu", 2, dtype, slope)
    return train(layers, weights, x, signs, rate=0.25, steps=effort.steps(_STEPS), batch=_BATCH)


def _zeros(seed: int, dtype: str, effort: Effort) -> float:
    """Exact zeros among the hidden pre-activations after a training, in a million, at samples not seen in it."""
    run = _run(seed, dtype, "0", effort)
    x, _ = moons(np.random.default_rng(1000 + seed), 2000, dtype=dtype)
    before = forwards(hidden("relu", 2, dtype), run.weights, x).before[:-1]
    return 1e6 * sum(int(np.count_nonzero(z == 0)) for z in before) / sum(z.size for z in before)


def _distance(one: Run, other: Run) -> float:
    return max(
        float(np.max(np.abs(here.astype(np.float64) - there.astype(np.float64))))
        for a, b in zip(one.weights, other.weights, strict=True)
        for here, there in zip(a, b, strict=True)
    )


CLAIMS = (
    Claim(
        "any-subgradient",
        "Any value in [0, 1] is a subgradient of ReLU at 0, and no other is.",
        f"{GLOROT}; the notion is Clarke's (1983)",
        _any_subgradient,
    ),
    Claim(
        "zero-at-zero",
        "The derivative of ReLU at 0 is 0.",
        "frameworks, whose derivative there is 0",
        _zero_at_zero,
    ),
    Claim(
        "relu-at-zero-matters",
        "The value taken for ReLU'(0) changes what is learned in float16, where pre-activations are often exactly 0; "
        "less so in float32.",
        BERTOIN,
        _matters,
    ),
)
