"""Where constants come from: SELU's fixed point, and the fits behind 0.044715 and 1.702."""

from __future__ import annotations

import sympy
from flint import arb
from sympy import Expr, Rational, Symbol, erfc, exp, sqrt, tanh

from relusym.activation import Activation, Parameter, piecewise, x
from relusym.balls import Function, compiled, precision
from relusym.calculus.bounds import simplest
from relusym.calculus.moments import gaussian_moment
from relusym.errors import Undecided
from relusym.facts import Absent, Fact, Interval, RealSet, Verdict
from relusym.pieces import split

_BITS = 96
_REACH = 16.0
_MAX_BOXES = 20_000
_PHI = erfc(-x / sqrt(2)) / 2


def selu_constants() -> dict[str, Fact]:
    """`alpha` and `scale` of SELU, exact: the one solution of E f(z) = 0, E f(z)^2 = 1 for standard normal z.

    The mean is linear in alpha and the scale a common factor (Klambauer et al. 2017, arXiv:1706.02515, eq. 14).
    """
    alpha, scale = Symbol("alpha", positive=True), Symbol("scale", positive=True)
    unscaled = Activation(
        "selu_shape", piecewise((x, x > 0), (alpha * (exp(x) - 1), True)), parameters=(Parameter(alpha),)
    )
    mean, square = (gaussian_moment(split(unscaled), power) for power in (1, 2))
    assert isinstance(mean, Expr)
    assert isinstance(square, Expr)
    slope, constant = sympy.Poly(sympy.expand(mean), alpha).all_coeffs()
    fixed = simplest(-constant / slope)
    factor = 1 / sympy.sqrt(sympy.expand(square.subs(alpha, fixed)))
    method = "E f(z) = 0 and E f(z)^2 = 1 solved in closed form"
    return {
        str(alpha): Fact("alpha of SELU", Verdict.PROVED, fixed, method),
        str(scale): Fact("scale of SELU", Verdict.PROVED, factor, method),
    }


def gelu_tanh_constant() -> Fact:
    """The c for which (1 + tanh(sqrt(2/pi) (x + c x^3)))/2 comes closest to the normal distribution function.

    Closest in the largest error over the whole line. The fact says whether 0.044715 (Hendrycks & Gimpel 2016,
    arXiv:1606.08415) is that c to five digits.
    """
    c = Symbol("c", positive=True)
    model = (1 + tanh(sqrt(2 / sympy.pi) * (x + c * x**3))) / 2
    return _best_fit("0.044715", model, c, Rational(447145, 10**7), Rational(447155, 10**7))


def quick_gelu_constant() -> Fact:
    """The k for which the logistic function of k x comes closest to the normal distribution function.

    Closest in the largest error over the whole line. The fact says whether 1.702 is that k to four digits.
    """
    k = Symbol("k", positive=True)
    return _best_fit("1.702", 1 / (1 + exp(-k * x)), k, Rational(17015, 10**4), Rational(17025, 10**4))


def _best_fit(text: str, model: Expr, parameter: Symbol, low: Expr, high: Expr) -> Fact:
    """Prove that the best parameter lies in (low, high), all of which rounds to `text`, and narrow it down."""
    claim = f"{text} is the {parameter} that minimises max |Phi(x) - ({model})| over all x, rounded"
    try:
        error = _Error(model, parameter)
        if not (error.dominates(low, 1) and error.dominates(high, -1)):
            raise Undecided("no proof found that the best fit rounds so")
        low, high = error.narrowed(low, high)
    except Undecided as reason:
        return Fact(claim, Verdict.UNKNOWN, Absent(f"provenance unknown: {reason}"), "not settled")
    method = (
        f"for x > 0 the model rises with {parameter}; at the lower end the largest error is an excess of Phi, at the "
        "upper end one of the model: branch and bound in balls"
    )
    return Fact(claim, Verdict.PROVED, RealSet((Interval(low, high, False, False),)), method)


class _Error:
    """Phi(x) - model(x) for x > 0; odd in x, and falling in the parameter at each x > 0.

    So its maximum falls with the parameter, its minimum too, and the largest error is least where both are
    equally large. Which is larger at a given parameter tells on which side of the best one that is.
    """

    def __init__(self, model: Expr, parameter: Symbol) -> None:
        error = _PHI - model
        self._value = compiled(error, x, parameter)
        self._slope = compiled(error.diff(x), x, parameter)
        self._missing = [compiled(1 - rising, x, parameter) for rising in (_PHI, model)]

    def dominates(self, at: Expr, side: int) -> bool:
        """Whether the largest excess of Phi (side 1), or of the model (-1), is proved to be the larger one."""
        with precision(_BITS):
            number = compiled(at)()
            peak = self._peak(number, side).lower()
            # beyond the reach both functions lie between their values there and 1
            if not all(missing(arb(_REACH), number) < peak for missing in self._missing):
                return False
            return _stays_below(
                lambda z: -side * self._value(z, number), lambda z: -side * self._slope(z, number), peak
            )

    def _peak(self, number: arb, side: int) -> arb:
        """The error near its maximum; as a lower bound of that any value will do."""

        def at(place: arb) -> arb:
            return side * self._value(place, number)

        grid = [arb(n) / 64 for n in range(1, 64 * 6)]
        top = max(grid, key=lambda place: float(at(place).mid()))
        low, high = top - arb(1) / 64, top + arb(1) / 64
        for _ in range(60):
            one, other = (2 * low + high).mid() / 3, (low + 2 * high).mid() / 3
            low, high = (one.mid(), high) if at(one).mid() < at(other).mid() else (low, other.mid())
        return at(((low + high) / 2).mid())

    def narrowed(self, low: Expr, high: Expr) -> tuple[Expr, Expr]:
        """By bisection, to a part in 10**8; each half is proved as above."""
        while (high - low) * 10**8 > high:
            middle = (low + high) / 2
            if self.dominates(middle, 1):
                low = middle
            elif self.dominates(middle, -1):
                high = middle
            else:
                break
        return low, high


def _stays_below(value: Function, slope: Function, bound: arb) -> bool:
    """Whether value < bound on (0, 16]: branch and bound, with the mean-value form."""
    waiting = [(0.0, _REACH)]
    for _ in range(_MAX_BOXES):
        if not waiting:
            return True
        a, b = waiting.pop()
        box, middle = arb(a).union(arb(b)), arb((a + b) / 2)
        if value(box) < bound or value(middle) + slope(box) * (box - middle) < bound:
            continue
        if value(middle) > bound:
            return False
        waiting += [(a, (a + b) / 2), ((a + b) / 2, b)]
    return False
