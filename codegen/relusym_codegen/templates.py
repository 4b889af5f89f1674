"""The templates beside the targets, with undefined names an error and nothing escaped: they make code."""

from __future__ import annotations

from functools import cache

import jinja2


@cache
def template(name: str) -> jinja2.Template:
    """The template in targets/ of this file name."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("relusym_codegen", "targets"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    return environment.get_template(name)
