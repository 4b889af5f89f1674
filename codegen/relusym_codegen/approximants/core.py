"""A polynomial core: data, and the one way to evaluate it."""

from __future__ import annotations

from dataclasses import dataclass

from relusym_codegen.program import Builder, Constant, Operand


@dataclass(frozen=True)
class Core:
    """A polynomial for computing in `format`, good for `bits` bits of its function.

    `coefficients`, lowest first, are pairs: a number rounded to the format, and for the lowest two what the rounding
    left. Valid for arguments of magnitude up to `upper`; `centre` is the k of t = (u - k) / (u + k) where the
    polynomial is one in t, `scale` a factor that goes in with (u + k) / 2. `relative_error` is a certified bound of
    the polynomial's distance from the function, relative to what the core serves to compute; evaluation error not
    included.
    """

    name: str
    format: str
    bits: int
    upper: float
    centre: float
    scale: float
    relative_error: float
    coefficients: tuple[tuple[float, float], ...]

    @property
    def lower(self) -> float:
        """Left end of the interval of validity."""
        return -self.upper

    def horner(self, b: Builder, variable: Operand) -> Operand:
        """The polynomial in `variable` by Horner's scheme."""
        value, *rest = (Constant(high, low) if low else high for high, low in reversed(self.coefficients))
        result: Operand = value
        for coefficient in rest:
            result = b("add", b("mul", result, variable), coefficient)
        b.approximate(result, self.relative_error)
        return result
