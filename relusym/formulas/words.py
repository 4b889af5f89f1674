"""Values of facts in words, in two styles: plain text and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy
from sympy import Expr

from relusym.facts import Absent, Enclosed, Interval, Real, RealSet, Value
from relusym.formulas.numbers import is_short, shortened


@dataclass(frozen=True)
class Style:
    """How expressions, signs and words are set."""

    expression: Callable[[Expr], str]
    word: Callable[[str], str]
    union: str
    none: str
    about: str
    infinity: str
    opening: str
    closing: str

    def number(self, value: Real, *, long: bool = False) -> str:
        """A number: its closed form where that is short, else digits; with `long` both."""
        if isinstance(value, Enclosed):
            return self.digits(value)
        if value.free_symbols or value.is_infinite or value is sympy.nan:
            return self.expression(value)
        if value.is_Rational:
            return self.expression(value)
        if not long:
            return (
                self.expression(value) if is_short(value, 4) and not value.has(sympy.LambertW) else self.digits(value)
            )
        return f"{self.expression(value)} {self.about} {self.digits(value)}" if is_short(value) else self.digits(value)

    def digits(self, value: Real) -> str:
        """Leading digits."""
        return shortened(value)

    def interval(self, part: Interval) -> str:
        """[a, b), or {a}."""
        if part.inf is part.sup:
            return self.braces(self.number(part.inf))
        left, right = "[" if part.inf_attained else "(", "]" if part.sup_attained else ")"
        return f"{left}{self.number(part.inf)}, {self.number(part.sup)}{right}"

    def braces(self, inside: str) -> str:
        """{...} in this style."""
        return f"{self.opening}{inside}{self.closing}"

    def set(self, values: RealSet) -> str:
        """Intervals and points, points gathered."""
        points = [part for part in values.components if part.inf is part.sup]
        intervals = [self.interval(part) for part in values.components if part.inf is not part.sup]
        if points:
            intervals.append(self.braces(", ".join(self.number(part.inf) for part in points)))
        text = f" {self.union} ".join(intervals) or self.none
        return text if values.period is None else f"{text} + {self.number(values.period)}·k"

    def value(self, value: Value) -> str:
        """Any value of a fact."""
        if isinstance(value, Absent):
            return self.word(f"none ({value.reason})")
        if isinstance(value, bool):
            return self.word("yes" if value else "no")
        if value is None:
            return self.word("no closed form")
        if isinstance(value, Enclosed):
            return self.number(value)
        if isinstance(value, Expr):
            return self.number(value, long=True) if value.is_number else self.expression(value)
        if isinstance(value, RealSet):
            return self.set(value)
        if isinstance(value, tuple):
            return "; ".join(self.value(part) for part in value) or self.word("none")
        if isinstance(value, Mapping):
            return self.mapping(value)
        return self.word(str(value))

    def mapping(self, value: Mapping[str, Value]) -> str:
        """The known kinds of records, and any other as key: value."""
        if "shape" in value:
            where = self.interval(Interval(value["lower"], value["upper"], False, False))
            again = f" + {self.value(value['period'])}·k" if "period" in value else ""
            return self.word(str(value["shape"]) + " on ") + where + again
        if set(value) == {"slope", "intercept"}:
            line = value["slope"], value["intercept"]
            if all(isinstance(part, Expr) for part in line):
                return self.expression(line[0] * sympy.Symbol("x", real=True) + line[1])
        if "statement" in value:
            return self.word(str(value["statement"]))
        return ", ".join(f"{self.key(key)}: {self.value(part)}" for key, part in value.items()) or self.word("none")

    def key(self, key: str) -> str:
        """The name of a part."""
        return {"-oo": f"-{self.infinity}", "+oo": f"+{self.infinity}"}.get(key, self.word(key))
