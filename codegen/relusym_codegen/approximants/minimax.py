"""Minimax polynomials by Remez's exchange, in ball arithmetic, and a certificate of their error.

Used by `make` alone: kernels need the tables, not this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from flint import arb, arb_mat, arb_series, ctx, fmpq

Function = Callable[[arb_series], arb_series]

PRECISION = 600
"""Bits of all computations."""


@contextmanager
def _settings() -> Iterator[None]:
    """Ball arithmetic with `PRECISION` bits inside the block, and everything as it was after it."""
    before = ctx.prec, ctx.cap
    ctx.prec = PRECISION
    try:
        yield
    finally:
        ctx.prec, ctx.cap = before


@dataclass(frozen=True)
class Problem:
    """Approximate `function` on [lower, upper] so that weight * abs(error) is small; all three as power series."""

    function: Function
    weight: Function
    lower: Fraction
    upper: Fraction


DOUBLED = 2
"""How many of the lowest coefficients are kept in two floats."""


@_settings()
def polynomial(problem: Problem, degree: int, precision: int) -> tuple[tuple[float, float], ...]:
    """Coefficients, lowest first, rounded to `precision` bits, and what the rounding left of the lowest two.

    Rounded one after the other from the lowest, each time the others fitted anew around the rounded ones, so that
    higher coefficients make up for what rounding took from lower ones.
    """
    coefficients: list[tuple[float, float]] = []
    fixed: list[arb] = []
    free = _exchange(problem, degree)
    for index in range(degree + 1):
        if 0 < index < REFITTED:
            free = _refitted(problem, fixed, degree)
        high = _rounded(free[0], precision)
        low = _rounded(free[0] - high, precision) if index < DOUBLED else 0.0
        coefficients.append((high, low))
        fixed.append(arb(high) + low)
        free = free[1:]
    return tuple(coefficients)


REFITTED = 6
"""So many of the lowest coefficients are rounded one by one; what rounding the others takes is too little to mend."""


@_settings()
def leveled_error(problem: Problem, degree: int) -> float:
    """About the error that the best polynomial of this degree can reach, its coefficients not rounded."""
    free = _exchange(problem, degree)
    return max(abs(float((_evaluate(free, v) - value) * weight)) for v, value, weight in _grid(problem))


def _rounded(value: arb, precision: int) -> float:
    mantissa, exponent = value.mid().man_exp()
    exact = Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
    if exact == 0:
        return 0.0
    shift = abs(exact.numerator).bit_length() - exact.denominator.bit_length() - precision
    quantum = Fraction(2) ** shift
    while abs(exact) / quantum >= 2**precision:
        quantum *= 2
    return float(round(exact / quantum) * quantum)


def _exchange(problem: Problem, degree: int) -> list[arb]:
    """The best coefficients, by Remez's exchange on the points of the grid."""
    grid = _grid(problem)
    count = degree + 1
    points = [round(k * (len(grid) - 1) / count) for k in range(count + 1)]
    found: list[arb] = []
    for _ in range(30):
        rows, right = [], []
        for sign, index in enumerate(points):
            v, value, weight = grid[index]
            rows.append([v**k for k in range(count)] + [(-1) ** sign / weight])
            right.append([value])
        solution = arb_mat(rows).solve(arb_mat(right))
        found = [solution[k, 0].mid() for k in range(count)]
        level = abs(float(solution[count, 0].mid()))
        errors = [float((_evaluate(found, v) - value) * weight) for v, value, weight in grid]
        extrema = _alternation(errors, count + 1)
        if len(extrema) < count + 1:
            break
        points = extrema
        if max(abs(errors[index]) for index in extrema) <= level * 1.01:
            break
    return found


def _refitted(problem: Problem, fixed: list[arb], degree: int) -> list[arb]:
    """The coefficients beyond the fixed ones, by Lawson's reweighted least squares.

    With fixed coefficients the powers left vanish inside the interval, and an exchange need not converge.
    """
    grid = _grid(problem)[:: max(1, GRID // 200)]
    count = degree + 1 - len(fixed)
    rows = [[weight * v ** (len(fixed) + k) for k in range(count)] for v, _, weight in grid]
    wanted = [weight * (value - _evaluate(fixed, v)) for v, value, weight in grid]
    shares = [1.0] * len(grid)
    best: tuple[float, list[arb]] | None = None
    for _ in range(12):
        matrix = arb_mat([[share * entry for entry in row] for share, row in zip(shares, rows, strict=True)])
        plain = arb_mat(rows).transpose()
        solution = (plain * matrix).solve(plain * arb_mat([[s * w] for s, w in zip(shares, wanted, strict=True)]))
        found = [solution[k, 0].mid() for k in range(count)]
        errors = [
            abs(float(sum((c * entry for c, entry in zip(found, row, strict=True)), -want)))
            for row, want in zip(rows, wanted, strict=True)
        ]
        worst = max(errors)
        if best is None or worst < best[0]:
            best = (worst, found)
        shares = [share * (error / worst + 1e-3) for share, error in zip(shares, errors, strict=True)]
        total = max(shares)
        shares = [share / total for share in shares]
    assert best is not None
    return best[1]


GRID = 1500
"""Points, dense towards the ends, on which errors are looked at."""


@lru_cache(maxsize=8)
def _grid(problem: Problem) -> list[tuple[arb, arb, arb]]:
    """(v, function, weight); a weight that vanishes inside the interval is kept away from 0."""
    low, high = _arb(problem.lower), _arb(problem.upper)
    nodes = ((low + high) / 2 - (high - low) / 2 * (arb.pi() * k / GRID).cos() for k in range(GRID + 1))
    ctx.cap = 1
    grid = []
    for v in (node.mid() for node in nodes):
        value, weight = problem.function(arb_series([v]))[0], problem.weight(arb_series([v]))[0]
        grid.append((v, value.mid(), abs(weight.mid()) + arb(2) ** -40))
    return grid


def _alternation(errors: list[float], count: int) -> list[int]:
    """Where each run of one sign is largest; the weaker end dropped until `count` are left."""
    runs: list[int] = []
    for index, error in enumerate(errors):
        if runs and (error > 0) == (errors[runs[-1]] > 0):
            if abs(error) > abs(errors[runs[-1]]):
                runs[-1] = index
        else:
            runs.append(index)
    while len(runs) > count:
        runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
    return runs


def _evaluate(coefficients: list[arb], v: arb) -> arb:
    value = arb(0)
    for coefficient in reversed(coefficients):
        value = value * v + coefficient
    return value


def _arb(value: Fraction) -> arb:
    return arb(fmpq(value.numerator, value.denominator))


TERMS = 16
"""Taylor terms of the error in each part of the interval."""

DEEPEST = 40
"""Halvings after which a certificate is given up."""


@_settings()
def certified_error(problem: Problem, coefficients: tuple[tuple[float, float], ...]) -> float:
    """An upper bound of weight * abs(polynomial - function) on the whole interval, to 5 % of what a grid shows.

    In each part of the interval the difference is expanded around the middle; the coefficients of the expansion are
    balls, the remainder is the next coefficient on the whole part. A part with too large a bound is halved.
    """
    exact = [arb(high) + low for high, low in coefficients]
    seen = max(abs(float((_evaluate(exact, v) - value) * weight)) for v, value, weight in _grid(problem))
    goal = arb(seen) * 1.05 + arb(2) ** -200
    worst = 0.0
    parts = [(problem.lower, problem.upper, 0)]
    while parts:
        low, high, depth = parts.pop()
        bound = _bound(problem, exact, low, high)
        if bound is None or not bound < goal:
            assert depth < DEEPEST, f"no bound was found on [{float(low)}, {float(high)}]"
            middle = (low + high) / 2
            parts += [(low, middle, depth + 1), (middle, high, depth + 1)]
        else:
            worst = max(worst, float(bound.upper()) * (1 + 2.0**-50))
    return worst


def _bound(problem: Problem, exact: list[arb], low: Fraction, high: Fraction) -> arb | None:
    """The bound on one part; None where the functions have no expansion on the whole of it."""
    middle, half = _arb((low + high) / 2), _arb((high - low) / 2)
    whole = middle + half * arb(0, 1)
    ctx.cap = TERMS + 1
    try:
        inside = _difference(problem, exact, arb_series([middle, 1]))
        beyond = _difference(problem, exact, arb_series([whole, 1]))
        ctx.cap = 1
        weight = abs(problem.weight(arb_series([whole]))[0])
    except (ValueError, ZeroDivisionError):
        return None
    bound = abs(beyond[TERMS]) * half**TERMS
    for k in range(TERMS):
        bound += abs(inside[k]) * half**k
    bound *= weight
    return bound if bound.is_finite() else None


def _difference(problem: Problem, coefficients: list[arb], v: arb_series) -> arb_series:
    value = arb_series([0])
    for coefficient in reversed(coefficients):
        value = value * v + coefficient
    return value - problem.function(v)
