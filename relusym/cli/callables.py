"""A function that a user names: package.module:function or path/file.py:function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from relusym.errors import InvalidRequest, Missing


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
            spec = importlib.util.spec_from_file_location(path.stem, path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, str(Path.cwd()))
            module = importlib.import_module(home)
    except ModuleNotFoundError as error:
        raise Missing(f"--callable {where}: {error}; install it, or give path/file.py:function") from None
    except (ImportError, SyntaxError, ArithmeticError, LookupError, NameError, OSError, TypeError) as error:
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
