"""A function that a user names: package.module:function or path/file.py:function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relusym.errors import InvalidRequest, Missing, RelusymError

if TYPE_CHECKING:
    from relusym.activation import Activation
    from relusym.floats import Format


MOST_WRAPPERS = 100
"""An object may claim to wrap another one for ever."""


def function_named(where: str, through: str | None = None) -> Any:
    """What a user named: a function, or the text itself where the framework reads it (a model file, an operator)."""
    return where if through == "onnxruntime" else imported(where)


def imported(where: str) -> Any:
    """The function at package.module:function or path/file.py:function; this runs the user's own code."""
    import importlib
    import importlib.util

    home, colon, name = where.rpartition(":")
    if not colon or not home or not name:
        raise InvalidRequest(f"--callable {where!r} is not module:function or path/file.py:function")
    try:
        if home.endswith(".py"):
            path = Path(home)
            if not path.is_file():
                raise InvalidRequest(f"--callable: there is no file {home}")
            # under a name of its own: a file may be called as a package is
            spec = importlib.util.spec_from_file_location(f"relusym_callable_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses look there
            sys.path.insert(0, str(path.parent.resolve()))
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, str(Path.cwd()))
            module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        raise Missing(f"--callable {where}: {error}; install it, or give path/file.py:function") from None
    except RelusymError:
        raise
    except Exception as error:  # whatever the code of a user raises
        raise InvalidRequest(f"--callable: {home} cannot be imported: {type(error).__name__}: {error}") from None
    try:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise InvalidRequest(f"--callable: {home} has no {name!r}") from None
    if not callable(found):
        raise InvalidRequest(f"--callable: {where} is not callable")
    return found


def defined(fn: Any) -> Any:
    """The function behind partials and wrappers such as those of jax.jit; the class of an object that is none."""
    import functools
    import inspect

    from relusym.judge.adapters.adapter import told

    for _ in range(MOST_WRAPPERS):
        inside = fn.func if isinstance(fn, functools.partial) else told(fn, "__wrapped__")
        if inside is None:
            break
        fn = inside
    return fn if inspect.isroutine(fn) or inspect.isclass(fn) else type(fn)


def place_of(fn: Any) -> dict[str, Any]:
    """File and line of a function whose source is in the current directory, as keys of a result; empty elsewhere.

    What a framework has installed is nobody's to annotate, and code without a source has no place.
    """
    import inspect

    source = defined(fn)
    try:
        file, line = inspect.getsourcefile(source), inspect.getsourcelines(source)[1]
    except (TypeError, OSError):
        return {}
    here, path = Path.cwd().resolve(), Path(file or "").resolve()
    if file is None or not path.is_relative_to(here) or "site-packages" in path.parts:
        return {}
    return {"file": path.relative_to(here).as_posix(), "line": max(line, 1)}


def parameters_taken(fn: Any, activation: Activation, settings: dict[str, str], form: Format) -> dict[str, float]:
    """Values in the format for the parameters that a function takes by name.

    A value that the dtype holds is the same number in whatever format the function computes.
    """
    import inspect

    from relusym_codegen.literals import nearest

    from relusym.activation import parameter_values

    try:
        taken = set(inspect.signature(fn).parameters)
    except Exception:  # functions written in C need not tell, and an object may answer with any error
        return {}
    values = parameter_values(activation, settings)
    return {str(symbol): nearest(value, form) for symbol, value in values.items() if str(symbol) in taken}
