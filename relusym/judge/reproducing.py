"""Lines of Python that show a finding again, in the words of the framework."""

from __future__ import annotations

from collections.abc import Sequence

from relusym.floats import Format
from relusym.judge.adapters import adapter_named
from relusym.judge.adapters.adapter import Adapter


def call_line(
    form: Format,
    x: str,
    gradient: str | None = None,
    addend: str | None = None,
    *,
    framework: str = "numpy",
    derived: str = "",
    parameter: str = "0x0p+0",
    beside: Sequence[str] = (),
    name: str = "fn",
) -> str:
    """A line that calls the kernel with this input again; numbers are hex floats.

    `derived` is the quantity where the framework's autograd takes it, and `parameter` the value of the one by which;
    `beside` are values of parameters that follow the arrays.
    """
    adapter = adapter_named(framework)

    def array(value: str) -> str:
        return array_text(adapter, form, value)

    if not derived:
        given = [array(value) for value in (gradient, x, addend) if value is not None]
        given += [array_text(adapter, form, float.fromhex(value).hex(), copies=0) for value in beside]
        return f"{name}({', '.join(given)})"
    kind, _, by = derived.partition(":")
    leaf = adapter.leaf_text.format(array=array(parameter if by else x))
    inputs = f"x = {array(x)}; p = {leaf}" if by else f"x = {leaf}"
    gradients = array(gradient or "0x1p+0")
    return f"{inputs}; {adapter.autograd_text[kind].format(fn=name, g=gradients, parameter=by)}"


def array_text(adapter: Adapter, form: Format, value: str, copies: int = 1) -> str:
    """An array of so many elements of this value, a hex float, as the framework writes it; of no dimension for 0."""
    elements = {0: "{value}", 1: "[{value}]"}.get(copies, f"[{{value}}] * {copies}")
    text = adapter.array_text.replace("[{value}]", elements)
    namespace = "ml_dtypes" if (adapter.namespace, form.name) == ("np", "bfloat16") else adapter.namespace
    return text.format(value=f"float.fromhex({value!r})", dtype=f"{namespace}.{form.name}")
