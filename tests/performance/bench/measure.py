"""docproc as a process, watched from outside: wall, CPU of the client and of Postgres, peak memory, requests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.support import bare_environment

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run cost: seconds of wall and CPU, peak resident memory of the largest process, requests and inputs."""

    wall: float
    client_cpu: float
    server_cpu: float
    peak_mb: float
    requests: int
    inputs: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark runs: a database, the mocks and a folder for docproc's home."""

    conninfo: str
    mocks: str
    home: Path
    postmaster: int

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of a docproc process here."""
        places = {"DATABASE_URL": self.conninfo, "DOCPROC_MOCKS_ADDRESS": self.mocks, "DOCPROC_HOME": str(self.home)}
        return bare_environment(**places, **more)

    def clear(self) -> None:
        """Forgets all documents and migrates anew."""
        with psycopg.connect(self.conninfo, autocommit=True) as conn:
            conn.execute("DROP SCHEMA IF EXISTS docproc CASCADE")
        shutil.rmtree(self.home / "storage", ignore_errors=True)
        self.run("migrate")

    def run(self, *words: str, **more: str) -> None:
        """Runs a docproc command that must succeed."""
        command = [sys.executable, "-m", "docproc", *words]
        subprocess.run(command, env=self.environment(**more), cwd=self.home, check=True, capture_output=True)

    def measure(self, *words: str, processes: int = 1, **more: str) -> Cost:
        """What ``processes`` docproc processes with the same words cost together."""
        before, asked = self._server_cpu(), self._asked()
        started = time.perf_counter()
        command = [sys.executable, "-m", "docproc", *words]
        environment = self.environment(**more)
        running = [
            subprocess.Popen(command, env=environment, cwd=self.home, stdout=subprocess.DEVNULL)
            for _ in range(processes)
        ]
        with _watching([process.pid for process in running]) as peaks:
            ended = [os.wait4(process.pid, 0) for process in running]
        wall, server = time.perf_counter() - started, self._server_cpu() - before
        bad = [status for _, status, _ in ended if status]
        if bad:
            raise RuntimeError(f"docproc {' '.join(words)} ended with {bad}")
        usage = [one for _, _, one in ended]
        requests, inputs, chunks = self._asked()
        return Cost(
            wall,
            sum(one.ru_utime + one.ru_stime for one in usage),
            server,
            max(peaks.values()) / 1024,
            requests - asked[0],
            inputs - asked[1],
            chunks,
        )

    def _asked(self) -> tuple[int, int, int]:
        with psycopg.connect(self.conninfo) as conn:
            counted = "SELECT count(*), coalesce(sum(inputs), 0) FROM docproc.api_calls WHERE operation = 'embed'"
            requests, inputs = conn.execute(counted).fetchone() or (0, 0)
            (chunks,) = conn.execute("SELECT count(*) FROM docproc.document_search").fetchone() or (0,)
        return requests, int(inputs), chunks

    def _server_cpu(self) -> float:
        """CPU seconds of Postgres since it started: of the postmaster, its children, and those that have ended."""
        return sum(_cpu(pid) for pid in (self.postmaster, *_children(self.postmaster)))


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(int(fields[n]) for n in (11, 12, 13, 14)) / TICKS


@contextmanager
def _watching(pids: Sequence[int]) -> Iterator[dict[int, int]]:
    """Peak resident memory of each process in kB, looked up often; ``ru_maxrss`` would hold the parent's share too."""
    peaks = dict.fromkeys(pids, 0)
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            for pid in pids:
                with suppress(OSError, StopIteration):
                    told = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
                    peaks[pid] = int(next(line for line in told if line.startswith("VmHWM")).split()[1])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        over.set()
        thread.join()


def _children(pid: int) -> Sequence[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(one) for one in listed.split()]


def start_up(environment: Mapping[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of an interpreter that only imports what a run needs."""
    needed = (
        "import docproc.cli, openai, psycopg, pgvector.psycopg, psycopg_pool, tiktoken, numpy, tenacity, llama_cloud"
    )
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", needed + "; openai.OpenAI(api_key='x').embeddings"], env=environment
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime
