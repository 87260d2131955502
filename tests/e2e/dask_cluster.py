"""A Dask cluster that stands by itself, as those have one who ask for ``--on dask://HOST:PORT``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.support import wait_until

LONG = 120.0
"""Seconds that a run on a cluster may take: several interpreters import at once."""


@contextmanager
def cluster(folder: Path, environ: Mapping[str, str], *environs: Mapping[str, str]) -> Iterator[str]:
    """A scheduler, with a worker in each of the environments that follow its own; its address without a scheme."""
    file = folder / "scheduler.json"
    options = ["--scheduler-file", str(file), "--no-dashboard", "--host", "127.0.0.1"]
    with ExitStack() as stack:
        for n, own in enumerate((environ, *environs)):
            name, more = ("worker", ["--nthreads", "1"]) if n else ("scheduler", ["--port", "0"])
            command = [sys.executable, "-m", f"distributed.cli.dask_{name}", *options, *more]
            log = folder / f"{name}-{n}.log"
            with log.open("wb") as said:
                process = subprocess.Popen(command, cwd=folder, env=dict(own), stdout=said, stderr=said)
            stack.callback(process.wait)
            stack.callback(process.terminate)
            wait_until(partial(_is_up, file, log if n else None), seconds=LONG)
        yield json.loads(file.read_text("utf-8"))["address"].removeprefix("tcp://")


def _is_up(file: Path, log: Path | None) -> bool:
    """Whether the scheduler is there, and where a ``log`` is named the worker that writes it."""
    return file.exists() and (log is None or b"Registered to" in log.read_bytes())
