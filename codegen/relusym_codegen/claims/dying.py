"""Dying units: what is proved of them, how many die, and which activations cannot die."""

from __future__ import annotations

from functools import partial

import numpy as np
import sympy

from relusym.activations import named
from relusym.formulas.text import expression_text
from relusym.layers import affine, in_pieces, plain
from relusym_codegen.claims.citations import CLEVERT, HE, MAAS
from relusym_codegen.claims.networks import Run, forward_gain, forwards, hidden, initial, layer, moons, train
from relusym_codegen.claims.proofs import Theorem, by_theorems, fact_of
from relusym_codegen.claims.statements import Claim, Effort, Evidence, Measurement, Ruling, Settled

_WIDTH, _SAMPLES, _STEPS, _SMALL, _LARGE = 32, 128, 150, 0.1, 4.0
_BAD_BIAS = -3.0


def _untouched(what: str) -> Evidence:
    """Whether the update of a weight or bias, on the piece z_i < 0, is the identity."""
    made = affine(named("relu"))
    before, after = {
        "weight": (made.weight[made.unit, made.entry], made.updated_weight),
        "bias": (made.bias[made.unit], made.updated_bias),
    }[what]
    piece = in_pieces(made, after).pieces[0]
    assert piece.lower is -sympy.oo and piece.upper == 0  # noqa: PT018
    old, new = plain(made, before), piece.expr
    star = expression_text(old).replace("_", "*_", 1)
    return Evidence(
        "layer of relu",
        f"{star} = {expression_text(new)} for z_i < 0",
        "proved" if sympy.expand(new - old) == 0 else "refuted",
        "the update derived from the chain rule, on this piece",
    )


def _revival() -> Evidence:
    """A network of three numbers, in which the layer below a dead unit moves."""
    before, after = _revived()
    return Evidence(
        "relu after relu",
        "a dead unit is still dead after one step of gradient descent on the whole network",
        "refuted" if before <= 0 < after else "proved",
        f"x = 1, h = f(w x), y = f(1 - 2 h) + h, E = y^2/2, w = 1: the unit's pre-activation is {before:g}; after a "
        f"step at rate 3/4 w is 1/4 and it is {after:g}",
    )


def _revived() -> tuple[float, float]:
    """The pre-activation of the dead unit before and after a step, in our kernels' arithmetic, exact here."""
    kernels = layer("relu", "float64")

    def through(w: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        h = kernels.forward(np.array([w]))
        z = 1 - 2 * h
        return h, z, kernels.forward(z) + h

    _, z, y = through(1.0)
    from_unit = -2 * kernels.backward(y, z)
    by_weight = kernels.backward(y + from_unit, np.array([1.0]))
    return float(z[0]), float(through(float(1.0 - 0.75 * by_weight[0]))[1][0])


def _how_many(effort: Effort) -> Settled:
    cases = {
        f"rate {_SMALL:g}, bias 0": (_SMALL, 0.0),
        f"rate {_LARGE:g}, bias 0": (_LARGE, 0.0),
        f"rate {_SMALL:g}, bias {_BAD_BIAS:g}": (_SMALL, _BAD_BIAS),
    }
    found = {
        f"{name}, {case}": [_dead(name, rate, bias, seed, effort) for seed in effort.seeds]
        for name in ("relu", "leaky_relu")
        for case, (rate, bias) in cases.items()
    }
    shares = {case: tuple(share for share, _ in samples) for case, samples in found.items()}
    diverged = sum(run.diverged for samples in found.values() for _, run in samples)
    calm, fast, biased = (float(np.mean(shares[f"relu, {case}"])) for case in cases)
    return Settled(
        Ruling.MEASURED,
        f"After a short training {calm:.0%} of the ReLU units get no gradient from any sample; at a rate "
        f"{_LARGE / _SMALL:g} times as large {fast:.0%}, and with biases that begin at {_BAD_BIAS:g} {biased:.0%}. In "
        "the same trainings of leaky units "
        f"{max(max(share) for case, share in shares.items() if case.startswith('leaky')):.0%} get none. "
        f"{diverged or 'None'} of the trainings diverged.",
        measurements=tuple(Measurement(f"{case}: share of dead units", share) for case, share in shares.items()),
        supported=diverged == 0
        and fast > calm
        and biased > calm
        and all(max(share) == 0 for case, share in shares.items() if case.startswith("leaky")),
    )


def _dead(activation: str, rate: float, bias: float, seed: int, effort: Effort) -> tuple[float, Run]:
    """The share of hidden units whose slope is exactly 0 at every sample after a training, and that training."""
    random = np.random.default_rng(seed)
    x, signs = moons(random, _SAMPLES)
    layers = hidden(activation, 2)
    weights = initial(random, (2, _WIDTH, _WIDTH, 1), forward_gain(activation), bias=bias)
    run = train(layers, weights, x, signs, rate=rate, steps=effort.steps(_STEPS))
    before = forwards(layers, run.weights, x).before[:-1]
    slopes = [layers[0].backward(np.ones_like(z), z) for z in before]
    return float(np.mean(np.concatenate([np.all(slope == 0, axis=0) for slope in slopes]))), run


def _cannot_die(effort: Effort) -> Settled:
    proved = by_theorems(
        "Their slope is 0 nowhere: some gradient always comes through. The condition is that the slope on the left "
        "is not 0, which a PReLU may learn. In floats there is one more: ELU's slope exp(x) is 0 once it underflows, "
        "in float32 below -104 or so, where the unit is dead all the same.",
        true=[Theorem("leaky_relu", "f' > 0"), Theorem("prelu", "f' > 0"), Theorem("elu", "f' > 0")],
        exceptions=[Theorem("prelu", "f' > 0", {"alpha": 0})],
        besides=[partial(fact_of, name, "dying") for name in ("leaky_relu", "prelu", "elu")],
    )(effort)
    return Settled(proved.ruling, proved.says, (*proved.evidence, *map(_underflow, (-100.0, -110.0))))


def _underflow(at: float) -> Evidence:
    slope = float(layer("elu").backward(np.ones(1, dtype=np.float32), np.full(1, at, dtype=np.float32))[0])
    return Evidence("elu in float32", f"the kernel's slope at {at:g}", "computed", f"{slope:.4g}")


CLAIMS = (
    Claim(
        "dead-unit-no-gradient",
        "A unit whose pre-activations are all negative gets exactly zero gradient, and a gradient step leaves it as "
        "it is.",
        MAAS,
        by_theorems(
            "f' is 0 at every z_i < 0, so that each sample's share of dE/dW_ij and dE/db_i is exactly 0 for every E. "
            "The sum over samples is 0, and the step leaves W_ij and b_i as they are.",
            true=[Theorem("relu", "f' = heaviside(x)")],
            besides=[
                partial(fact_of, "relu", "dead_region"),
                partial(_untouched, "weight"),
                partial(_untouched, "bias"),
            ],
        ),
    ),
    Claim(
        "dead-for-good",
        "A dead unit stays dead.",
        MAAS,
        by_theorems(
            "Its own weights never move again by plain gradient descent, so that it stays dead as long as its inputs "
            "stay where they are: in the first layer, for good. In a deeper layer the units below go on learning from "
            "other paths, and can bring it back; momentum and weight decay can, too.",
            exceptions=[_revival],
            besides=[partial(fact_of, "relu", "dying"), partial(_untouched, "weight")],
        ),
    ),
    Claim(
        "how-many-die",
        "Units die at large learning rates and with bad biases.",
        MAAS,
        _how_many,
    ),
    Claim(
        "leaky-units-live",
        "Leaky ReLU, PReLU and ELU units do not die.",
        f"{MAAS}; {HE}; {CLEVERT}",
        _cannot_die,
    ),
)
