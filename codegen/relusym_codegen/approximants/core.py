"""A polynomial core: data, and the one way to evaluate it."""

from __future__ import annotations

from dataclasses import dataclass

from relusym_codegen.program import Builder, Operand


@dataclass(frozen=True)
class Core:
    """Coefficients, lowest first, rounded to `format`; valid for |u| <= `upper`, `relative_error` as measured."""

    name: str
    format: str
    upper: float
    centre: float
    relative_error: float
    coefficients: tuple[float, ...]

    @property
    def lower(self) -> float:
        """Left end of the interval of validity."""
        return -self.upper

    def horner(self, b: Builder, variable: Operand) -> Operand:
        """The polynomial in `variable` by Horner's scheme."""
        value: Operand = self.coefficients[-1]
        for coefficient in reversed(self.coefficients[:-1]):
            value = b("add", b("mul", value, variable), coefficient)
        return value
