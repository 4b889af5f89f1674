"""A small training: how soon networks of ReLU and of tanh units reach the same loss."""

from __future__ import annotations

import numpy as np

from relusym_codegen.claims.citations import KRIZHEVSKY
from relusym_codegen.claims.depth import band
from relusym_codegen.claims.networks import Run, forward_gain, hidden, initial, moons, train
from relusym_codegen.claims.statements import Claim, Curves, Effort, Measurement, Ruling, Settled

_SIZES, _SAMPLES, _STEPS, _GOAL = (2, 32, 32, 1), 192, 300, 0.1
_RATES = (0.3, 1.0)


def _contestants() -> dict[str, tuple[str, float]]:
    """Activations with the gain of their weights: its own, derived, and for tanh also Xavier's, which is usual."""
    return {
        "relu": ("relu", forward_gain("relu")),
        "tanh at gain 1": ("tanh", 1.0),
        f"tanh at its gain {forward_gain('tanh'):.3f}": ("tanh", forward_gain("tanh")),
    }


def _race(effort: Effort) -> Settled:
    """Each contestant at each rate; the better rate is the one that reaches the goal sooner."""
    steps, contestants = effort.steps(_STEPS), _contestants()
    runs = {
        (name, rate): [_run(*contestant, rate, seed, steps) for seed in effort.seeds]
        for name, contestant in contestants.items()
        for rate in _RATES
    }
    needed = {case: tuple(float(_steps_to_goal(run, steps)) for run in those) for case, those in runs.items()}
    best = {name: min(_RATES, key=lambda rate: np.mean(needed[name, rate])) for name in contestants}
    sooner = {name: float(np.mean(needed[name, rate])) for name, rate in best.items()}
    told = ", ".join(f"{name} {count:.0f}" for name, count in sooner.items())
    wins = {
        name: _wins(needed["relu", best["relu"]], needed[name, best[name]]) for name in contestants if name != "relu"
    }
    won = " and ".join(f"than {name} in {count} of {len(effort.seeds)} seeds" for name, count in wins.items())
    return Settled(
        Ruling.MEASURED,
        f"Two half circles of {_SAMPLES} points, two hidden layers of {_SIZES[1]} units, full-batch gradient descent, "
        f"each at the better of the rates {' and '.join(f'{rate:g}' for rate in _RATES)}. Steps to a loss of "
        f"{_GOAL:g}, on average: {told}. ReLU is there sooner {won}. The claim is counted as holding where ReLU is "
        "sooner than both in all seeds but one at most. Nothing follows for deep networks on images, of which the "
        "source speaks.",
        measurements=tuple(
            Measurement(f"{name}, rate {rate:g}: steps to a loss of {_GOAL:g}", samples)
            for (name, rate), samples in needed.items()
        ),
        supported=all(count >= len(effort.seeds) - 1 for count in wins.values()),
        curves=Curves(
            "convergence",
            "Training loss",
            "steps",
            "mean logistic loss",
            tuple(float(step) for step in range(steps)),
            tuple(
                band(f"{name}, rate {rate:g}", [_filled(run.losses, steps) for run in runs[name, rate]])
                for name, rate in best.items()
            ),
        ),
    )


def _run(activation: str, gain: float, rate: float, seed: int, steps: int) -> Run:
    random = np.random.default_rng(seed)
    x, signs = moons(random, _SAMPLES)
    weights = initial(random, _SIZES, gain)
    return train(hidden(activation, len(_SIZES) - 2), weights, x, signs, rate=rate, steps=steps)


def _filled(losses: tuple[float, ...], steps: int) -> tuple[float, ...]:
    """A run that stopped early keeps its last loss."""
    return losses + losses[-1:] * (steps - len(losses))


def _wins(one: tuple[float, ...], other: tuple[float, ...]) -> int:
    return sum(first < second for first, second in zip(one, other, strict=True))


def _steps_to_goal(run: Run, steps: int) -> int:
    return next((step for step, loss in enumerate(run.losses) if loss <= _GOAL), steps)


CLAIMS = (
    Claim(
        "relu-trains-faster",
        "Networks of ReLU units learn faster than networks of tanh units.",
        f"{KRIZHEVSKY}, section 3.1",
        _race,
    ),
)
