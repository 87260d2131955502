"""Checks of the machine: Python, docproc's home, the disk, and the tokenizer."""

from __future__ import annotations

import os
import shlex
import shutil
import stat
import sys
from pathlib import Path

from docproc import tokens
from docproc.checks import Check, Deployment, Finding, ok, problem


def python(_: Deployment) -> Finding:
    """Is this a Python that docproc is tested on?"""
    version = ".".join(map(str, sys.version_info[:3]))
    return ok(version) if sys.version_info >= (3, 11) else problem(version)


def home(it: Deployment) -> Finding:
    """Can docproc's home be made, or be written to?"""
    folder = it.app.settings.home
    present = _present(folder)
    if not present.is_dir() or not os.access(present, os.W_OK | os.X_OK):
        return problem(f"{folder} cannot be made or written to")
    return ok(str(folder) if present == folder else f"{folder}, not made yet")


def private(it: Deployment) -> Finding:
    """Is what stands in docproc's home closed to the other users of the machine?"""
    folder = it.app.settings.home
    if not folder.exists() or not _is_open(folder):
        return ok("closed")
    names = sorted(path.name for path in folder.iterdir() if _is_open(path))
    if not names:
        return ok("all in it is closed")
    return problem(f"others can look into {', '.join(names)}", f"chmod 700 {shlex.quote(str(folder))}")


def disk(it: Deployment) -> Finding:
    """Is there room where docproc's home is?"""
    free = shutil.disk_usage(_present(it.app.settings.home)).free
    least = it.thresholds.free_bytes
    seen = f"{free / 1e9:.1f} GB free"
    return ok(seen) if free >= least else problem(seen)


def tokenizer(_: Deployment) -> Finding:
    """Are tokens counted exactly, without a network?"""
    try:
        seen = tokens.count("docproc counts <|endoftext|> offline")
    except (OSError, ValueError) as error:
        return problem(str(error))
    return ok("cl100k_base, offline") if seen == 10 else problem(f"counted {seen} for 10")


def _is_open(path: Path) -> bool:
    return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077)


def _present(folder: Path) -> Path:
    """``folder``, or the nearest above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


CHECKS = (
    Check("environment.python", "environment", "error", "Python 3.11 or later", "use Python 3.11 or later", python),
    Check(
        "environment.home",
        "environment",
        "error",
        "a folder of the user's own",
        "name another folder in DOCPROC_HOME, or give this one to the user who runs docproc",
        home,
    ),
    Check(
        "environment.private",
        "environment",
        "warn",
        "nothing that others can read",
        "chmod 700 docproc's home",
        private,
        ("environment.home",),
    ),
    Check("environment.disk", "environment", "warn", "1 GB or more", "make room, or move DOCPROC_HOME", disk),
    Check(
        "tokenizer.offline",
        "tokenizer",
        "error",
        "the vocabulary that ships with docproc",
        "install docproc again: its vocabulary is missing or was altered",
        tokenizer,
    ),
)
