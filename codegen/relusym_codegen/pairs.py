"""Two floats for one number: the unevaluated sum of a float and a small rest, and exact sums and products.

T. J. Dekker, "A floating-point technique for extending the available precision", Numer. Math. 18 (1971); the
product's rest by one fma.
"""

from __future__ import annotations

from dataclasses import dataclass

from relusym_codegen.program import Builder, Operand, low_part


@dataclass(frozen=True)
class Pair:
    """`high` + `low`; `low` None where there is nothing to add."""

    high: Operand
    low: Operand | None = None


def pair_of(operand: Operand) -> Pair:
    """A number with what rounding left of it; a name alone."""
    rest = low_part(operand)
    return Pair(operand, rest if rest else None)


def collapsed(b: Builder, pair: Pair) -> Operand:
    """One float for the pair: their sum, rounded."""
    return pair.high if pair.low is None else b("add", pair.high, pair.low)


def two_sum(b: Builder, x: Operand, y: Operand) -> Pair:
    """X + y exactly (Knuth)."""
    total = b("add", x, y)
    part = b("sub", total, x)
    return Pair(total, b("add", b("sub", x, b("sub", total, part)), b("sub", y, part)))


def fast_two_sum(b: Builder, x: Operand, y: Operand) -> Pair:
    """X + y exactly, where abs(x) >= abs(y) or x is 0."""
    total = b("add", x, y)
    return Pair(total, b("sub", y, b("sub", total, x)))


def two_product(b: Builder, x: Operand, y: Operand) -> Pair:
    """X * y exactly, underflow aside."""
    product = b("mul", x, y)
    return Pair(product, b("fma", x, y, b("neg", product)))


def with_low(b: Builder, pair: Pair, rest: Operand | None) -> Pair:
    """The pair with a small rest added to its low part."""
    if rest is None:
        return pair
    return Pair(pair.high, rest if pair.low is None else b("add", pair.low, rest))


def sum_of(b: Builder, x: Pair, y: Pair, *, ordered: bool = False) -> Pair:
    """X + y as a pair; `ordered` says that abs(x.high) >= abs(y.high)."""
    if x.low is None and y.low is None:
        return (fast_two_sum if ordered else two_sum)(b, x.high, y.high)
    exact = (fast_two_sum if ordered else two_sum)(b, x.high, y.high)
    return with_low(b, with_low(b, exact, x.low), y.low)


def product_of(b: Builder, x: Pair, y: Pair) -> Pair:
    """X * y as a pair."""
    exact = two_product(b, x.high, y.high)
    low = exact.low
    assert low is not None
    for one, other in ((x.low, y.high), (y.low, x.high)):
        if one is not None:
            low = b("fma", one, other, low)
    return Pair(exact.high, low)


def negated(b: Builder, pair: Pair) -> Pair:
    """-x."""
    return Pair(b("neg", pair.high), None if pair.low is None else b("neg", pair.low))


def normalised(b: Builder, pair: Pair) -> Pair:
    """The same number with the high part as near as it can be."""
    return pair if pair.low is None else fast_two_sum(b, pair.high, pair.low)
