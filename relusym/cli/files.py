"""Files that a verb writes: whole or not at all, and never over one that stands unless asked to."""

from __future__ import annotations

from pathlib import Path

from relusym.errors import InvalidRequest


def refuse_existing(path: Path, *, force: bool) -> None:
    """`InvalidRequest` unless this name can be written to."""
    if path.is_dir():
        raise InvalidRequest(f"{path} is a directory; give the name of a file")
    if path.exists() and not force:
        raise InvalidRequest(f"{path} exists; give --force to overwrite it, or another name")
    if not path.parent.is_dir():
        raise InvalidRequest(f"{path.parent} is no directory; create it first")


def write(path: Path, text: str, *, force: bool) -> None:
    """Write a file whole or not at all, and never over one that stands, unless asked to."""
    import os
    import tempfile

    refuse_existing(path, force=force)
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot be written: {error.strerror}") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
