"""Words that several tests use: the mocks' bill and faults, docproc as a process, waiting for a condition."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures"


@dataclass(frozen=True, slots=True)
class Mocks:
    """The mock services at ``address``."""

    address: str

    def bill(self) -> dict[str, Any]:
        """What was billed so far."""
        return dict(self._ask("GET", "/mock/billing"))

    def log(self) -> list[dict[str, Any]]:
        """Every request so far, with the fault that fired."""
        return list(self._ask("GET", "/mock/log"))

    def set_faults(self, *specs: str, seed: int = 0) -> None:
        """Replaces the faults."""
        self._ask("PUT", "/mock/faults", {"faults": list(specs), "seed": seed})

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, data=data, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")


class Talking:
    """A process whose standard error is read all along: one that logs much would else stand still at a full pipe."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._said = ""
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        self._said = self.process.stderr.read()

    def end(self, *, timeout: float = 60.0) -> str:
        """Waits for its end; what it said on standard error."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.wait(timeout)
        self._listener.join(timeout)
        self.process.stdout.close()
        self.process.stderr.close()
        return self._said


ON = ("--on", os.environ["DOCPROC_TEST_ON"], "--workers", "2") if os.environ.get("DOCPROC_TEST_ON") else ()
"""Has every run-all of the tests done by a Dask cluster, where one is named."""


@dataclass(frozen=True, slots=True)
class Docproc:
    """docproc as its users run it: a process of its own, with an environment of its own."""

    environ: Mapping[str, str]
    folder: Path

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        """Starts a command; ``more`` are variables added to the environment."""
        return subprocess.Popen(
            [sys.executable, "-m", "docproc", *words, *(ON if "run-all" in words else ())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            env={**self.environ, **more},
        )

    def run(self, *words: str, timeout: float = 60.0, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end."""
        process = self.start(*words, **more)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"docproc {' '.join(words)} did not end:\n{out}\n{err}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)


T = TypeVar("T")


def always(values: Iterable[T], *telling: T) -> list[Any]:
    """The rows of a table for ``parametrize``: the ``telling`` ones in every run, the others where long ones are."""
    return [value if value in telling else pytest.param(value, marks=pytest.mark.long) for value in values]


def bare_environment(**variables: str) -> dict[str, str]:
    """The environment of a user who has set nothing but ``variables``."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


def wait_until(condition: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Waits until ``condition`` holds. Fails when it does not within ``seconds``."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} did not become true within {seconds} s"
        time.sleep(0.02)
