"""A layer of units: its gradients and its update."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from relusym.cli.application import Settings, Subject, activation_of, app, plain_errors, policy_of, settings_of


class Form(StrEnum):
    """How `layer` prints."""

    TEXT = "text"
    LATEX = "latex"
    MARKDOWN = "markdown"


@app.command(epilog="Example: relusym layer relu --subgradient 1/2 --format latex")
def layer(
    subject: Subject,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.TEXT,
    values: Settings = None,
    subgradient: Annotated[str, typer.Option(help="Derivative at kinks, as for `derive`.")] = "least-norm",
) -> None:
    """The layer h = f(W x + b): dE/dW, dE/db, dE/dx and a step of gradient descent, the choice at kinks written out.

    A unit of several inputs has a W and a b for each.
    """
    with plain_errors():
        from relusym.formulas.layer import render_layer
        from relusym.formulas.several_layer import render_several_layer
        from relusym.layers import affine
        from relusym.several import affine_several

        activation, settings, policy = activation_of(subject), settings_of(values), policy_of(subgradient)
        if len(activation.inputs) > 1:
            typer.echo(render_several_layer(affine_several(activation, settings, subgradient=policy), form.value))
        else:
            typer.echo(render_layer(affine(activation, settings, subgradient=policy), form.value))
