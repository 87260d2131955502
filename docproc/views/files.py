"""Files for other programs to read: written whole or not at all, and readable by all."""

from __future__ import annotations

import os
from pathlib import Path

from docproc.errors import ConfigError, DocprocError

MODE = 0o644
"""A collector of metrics and a web server run as users of their own."""


def refuse_unwritable(option: str, file: Path | None) -> None:
    """Raises ConfigError when the ``file`` that ``option`` names cannot be written: better now than after hours."""
    if file is None:
        return
    folder = file.resolve().parent
    why = ""
    if file.exists() and not file.is_file():
        why = "it is a folder" if file.is_dir() else "it is no regular file"
    elif not os.access(folder, os.W_OK | os.X_OK):
        why = f"{folder} is not a folder that can be written to"
    if why:
        raise ConfigError("config.invalid", f"{option} {file} cannot be written", why=why, try_=f"{option} FILE")


def write_whole(text: str, file: Path) -> None:
    """Writes ``text`` as UTF-8 beside ``file`` and renames it: who reads it sees the old one or the new one.

    A symbolic link stays one. Raises DocprocError ``output.file`` where it cannot be written.
    """
    target = file.resolve()
    # A leading dot and no suffix of the target's: a collector of *.prom must not read the draft.
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            draft.write_text(text, encoding="utf-8", errors="replace", newline="\n")
            draft.chmod(MODE)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise DocprocError("output.file", f"{file} was not written", why=error.strerror or str(error)) from None
