"""docproc as a process that is forked, not started: the libraries are imported once, docproc itself anew each time."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LIBRARIES = [
    *("typer", "rich.console", "rich.progress", "rich.table", "psycopg", "psycopg_pool", "pgvector.psycopg"),
    *("numpy", "openai", "llama_cloud", "tiktoken", "tenacity", "requests", "pyromark", "markdownify", "bs4"),
]
"""Everything slow that a run imports; of docproc nothing, because it reads its fault point when it is imported."""

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(LIBRARIES)


def run(
    *words: str, environ: Mapping[str, str], folder: Path, seconds: float = 60.0
) -> subprocess.CompletedProcess[str]:
    """Runs a docproc command to its end; standard output and error come back as one text, ``stdout``.

    The exit code is the negative number of the signal that killed it. Fails when it takes longer than ``seconds``.
    """
    said = folder / "said"
    process = _forks.Process(target=_become, args=(words, dict(environ), folder, said))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"docproc {' '.join(words)} did not end:\n{said.read_text('utf-8')}")
    return subprocess.CompletedProcess(words, process.exitcode, said.read_text("utf-8"), "")


def _become(words: tuple[str, ...], environ: dict[str, str], folder: Path, said: Path) -> None:
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    log = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(log, stream)
    sys.argv = ["docproc", *words]
    from docproc.cli import main

    main()
