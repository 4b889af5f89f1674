"""Three lines of Python that show a finding again: what to import, x, and the call. They need the framework alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from relusym.audit.entries import Entry, Framework
from relusym.floats import Array, Format
from relusym.judge.adapters import adapter_named
from relusym.judge.laws import canonical_bits
from relusym.judge.reports import Finding, hex_of
from relusym.judge.reproducing import array_text

MANY = 64
"""Copies of an input that is right alone and wrong in company."""

_ELEMENTS = {"float16": "float16", "bfloat16": "bfloat16", "float32": "float", "float64": "double"}
"""The names of dtypes in the text form of ONNX."""

_OPERATORS = 22
"""The operator set of a model in text, the newest that knows all of the functions as they are audited."""


@dataclass(frozen=True)
class _Way:
    """How often the input is repeated, and with what index the array is then passed."""

    copies: int
    index: str = ""

    def laid_out(self, x: Array) -> Array:
        """The array that is passed, of one of these inputs."""
        many = np.repeat(x, self.copies)
        return many[::2] if self.index else many


_WAYS = (_Way(1), _Way(MANY), _Way(MANY, "[::2]"))


def reproducer(
    framework: Framework, entry: Entry, fn: Callable[..., Any], finding: Finding, form: Format, computes: str
) -> tuple[str, str, str] | None:
    """The three lines, in the way of calling in which `fn` (on NumPy arrays) gives the wrong value again.

    None where the finding names no input, or where no way that was tried shows it.
    """
    if not finding.input:
        return None
    x = np.array([float.fromhex(finding.input)]).astype(form.dtype)
    results = [_first(fn, way.laid_out(x)) for way in _WAYS]
    wanted, other = (_bits(text, form) for text in (finding.got, finding.expected))
    if finding.kind == "layout":
        shown = [_WAYS[index] for value in (wanted, other) for index in _where(results, value)[:1]]
        shown = shown if len(shown) == 2 else []
    else:
        shown = [_WAYS[index] for index in _where(results, wanted)[:1]]
    if not shown:
        return None
    copies = max(way.copies for way in shown)
    adapter = adapter_named(framework.name)
    array = array_text(adapter, form, finding.input, copies)
    if len(shown) == 1:
        array += shown[0].index
    if computes != "forward":
        array = adapter.leaf_text.format(array=array)
    call = _call(framework.name, entry, form, computes) + ("" if copies == 1 else "[:1]")
    call += ".numpy().tolist()" if framework.name == "tensorflow" else ".tolist()"  # all digits, which arrays hide
    if len(shown) == 2:
        operands = ", ".join(f"x{way.index or ('[:1]' if way.copies < copies else '')}" for way in shown)
        call = f"*({call} for x in ({operands}))"
    before, _, printed = call.rpartition("; ")
    wide = f"; {framework.wide}" if framework.wide and form.name == "float64" else ""
    aim = "" if finding.kind == "layout" else f"  # right is {float.fromhex(finding.expected)!r}"
    return framework.imports + wide, f"x = {array}", f"{before}{'; ' if before else ''}print({printed}){aim}"


def _first(fn: Callable[..., Any], x: Array) -> bytes:
    try:
        return canonical_bits(np.ravel(np.asarray(fn(x)))[:1]).tobytes()
    except Exception:  # whatever a framework raises: this way does not show the value
        return b""


def _bits(text: str, form: Format) -> bytes:
    with np.errstate(all="ignore"):
        return canonical_bits(np.array([float.fromhex(text)]).astype(form.dtype)).tobytes()


def _where(results: list[bytes], wanted: bytes) -> list[int]:
    return [index for index, result in enumerate(results) if result == wanted]


def _call(framework: str, entry: Entry, form: Format, computes: str) -> str:
    """The expression that calls the function or its derivative with x; statements may stand before it."""
    if ":" not in entry.function:
        return _operator_call(entry, form)
    given = [f"{name}={value!r}" for name, value in entry.keywords.items()]
    adapter = adapter_named(framework)
    given += [f"{name}={array_text(adapter, form, hex_of(value))}" for name, value in entry.arrays.items()]
    name, keywords = _written(entry), "".join(f", {text}" for text in given)
    call = f"{name}(x{keywords})"
    if computes == "forward":
        return call
    fn = f"(lambda t: {name}(t{keywords}))" if keywords else name
    return adapter.autograd_text[computes].replace("{fn}(x)", call).format(fn=fn, g=f"{adapter.namespace}.ones_like(x)")


def _written(entry: Entry) -> str:
    """The function's name after the imports of its framework."""
    short = {"numpy": "np", "tensorflow": "tf"}
    home, dot, rest = entry.dotted.partition(".")
    return short.get(home, home) + dot + rest


def _operator_call(entry: Entry, form: Format) -> str:
    """A model of the one operator, in the text form of ONNX, run."""
    domain, _, operator = entry.function.rpartition(".")
    attributes = ", ".join(f"{name}: {_attribute(value)}" for name, value in entry.keywords.items())
    imports = f'"": {_OPERATORS}' + (f', "{domain}": 1' if domain else "")
    element = _ELEMENTS[form.name]
    node = f"{entry.function}{f' <{attributes}>' if attributes else ''} (x)"
    model = f"<ir_version: 10, opset_import: [{imports}]> g ({element}[N] x) => ({element}[N] y) {{ y = {node} }}"
    assert operator.isidentifier()
    return (
        f"onnxruntime.InferenceSession(onnx.parser.parse_model('{model}').SerializeToString()).run(None, {{'x': x}})[0]"
    )


def _attribute(value: Any) -> str:
    return f'string = "{value}"' if isinstance(value, str) else f"float = {value!r}"
