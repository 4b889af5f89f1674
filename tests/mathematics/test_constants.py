"""Derived constants: SELU's fixed point, and which fits 0.044715 and 1.702 are."""

import math

import pytest
import sympy

from relusym.activation import x
from relusym.activations import named
from relusym.balls import enclosure
from relusym.calculus import constants
from relusym.calculus.constants import gelu_tanh_constant, quick_gelu_constant, selu_constants
from relusym.facts import Verdict

PHI = [0.5 * math.erfc(-n / 200 / math.sqrt(2)) for n in range(1200)]


def largest_error(model):
    return max(abs(PHI[n] - model(n / 200)) for n in range(1200))


def test_selu_is_the_fixed_point_that_the_catalogue_carries():
    found = selu_constants()
    assert str(found["alpha"].value.evalf(40)) == "1.673263242354377284817042991671652038461"
    assert str(found["scale"].value.evalf(40)) == "1.050700987355480493419334985294606351959"
    ((scaled, _), (tail, _)) = named("selu").expr.args
    for carried, fact in (
        (scaled.subs(x, 1), "scale"),
        (-sympy.limit(tail, x, -sympy.oo) / scaled.subs(x, 1), "alpha"),
    ):
        assert enclosure(carried, 200).overlaps(enclosure(found[fact].value, 200))


@pytest.mark.parametrize(
    ("fact", "stated", "digits", "model"),
    [
        (gelu_tanh_constant, "0.044715", 6, lambda z, c: (1 + math.tanh(math.sqrt(2 / math.pi) * (z + c * z**3))) / 2),
        (quick_gelu_constant, "1.702", 3, lambda z, k: 1 / (1 + math.exp(-k * z))),
    ],
)
def test_the_constants_are_best_fits_to_the_normal_distribution_function(fact, stated, digits, model):
    found = fact()
    assert found.verdict is Verdict.PROVED
    (interval,) = found.value.components
    low, high = float(interval.inf), float(interval.sup)
    assert f"{low:.{digits}f}" == f"{high:.{digits}f}" == stated
    # on a grid, a little more and a little less are both worse
    best = largest_error(lambda z: model(z, (low + high) / 2))
    for other in (low * (1 - 1e-3), high * (1 + 1e-3)):
        assert largest_error(lambda z, value=other: model(z, value)) > best


def test_0_044715_is_not_the_third_term_of_the_series():
    """Matching the Taylor series of the distribution function at 0 gives (4 - pi)/(6 pi) = 0.04554."""
    inner = sympy.series(sympy.atanh(sympy.erf(x / sympy.sqrt(2))), x, 0, 4).removeO() / sympy.sqrt(2 / sympy.pi)
    third = sympy.simplify(sympy.expand(inner).coeff(x, 3))
    assert third == sympy.simplify((4 - sympy.pi) / (6 * sympy.pi))
    (interval,) = gelu_tanh_constant().value.components
    assert interval.sup < third


def test_a_constant_that_is_no_best_fit_is_of_unknown_provenance():
    k = sympy.Symbol("k", positive=True)
    model = 1 / (1 + sympy.exp(-k * x))
    fact = constants._best_fit("1.6", model, k, sympy.Rational(155, 100), sympy.Rational(165, 100))
    assert fact.verdict is Verdict.UNKNOWN
    assert "provenance unknown" in fact.value.reason
