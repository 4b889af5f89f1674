"""The command line: one file for the verbs of one subject, and the one package here that may import the generator."""

from __future__ import annotations

import io
import sys

from relusym.cli import auditing, claims, conventions, facts, generating, identifying, layers, machine, verifying
from relusym.cli.application import INTERRUPTED, app

__all__ = [
    "app",
    "auditing",
    "claims",
    "conventions",
    "facts",
    "generating",
    "identifying",
    "layers",
    "machine",
    "main",
    "verifying",
]


def main() -> None:
    """Run the command line; errors a user can cause become one message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a Greek letter must not stop a terminal that has none
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
