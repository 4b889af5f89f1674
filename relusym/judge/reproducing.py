"""Lines of Python that show a finding again, in the words of the framework."""

from __future__ import annotations

from relusym.floats import Format
from relusym.judge.adapters import adapter_named


def call_line(
    form: Format,
    x: str,
    gradient: str | None = None,
    addend: str | None = None,
    *,
    framework: str = "numpy",
    derived: str = "",
    parameter: str = "0x0p+0",
    name: str = "fn",
) -> str:
    """A line that calls the kernel with this input again; numbers are hex floats.

    `derived` is the quantity where the framework's autograd takes it, and `parameter` the value of the one by which.
    """
    adapter = adapter_named(framework)

    def array(value: str) -> str:
        return adapter.array_text.format(value=f"float.fromhex({value!r})", dtype=_dtype(form, adapter.namespace))

    if not derived:
        return f"{name}({', '.join(array(value) for value in (gradient, x, addend) if value is not None)})"
    kind, _, by = derived.partition(":")
    return adapter.autograd_text[kind].format(
        fn=name, x=array(x), g=array(gradient or "0x1p+0"), p=array(parameter), parameter=by
    )


def _dtype(form: Format, namespace: str) -> str:
    """The framework's name of a dtype."""
    return "ml_dtypes.bfloat16" if namespace == "np" and form.name == "bfloat16" else f"{namespace}.{form.name}"
