"""A storm: many docproc processes on one database while they are killed, frozen, cut off, and Postgres crashes."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.chaos.books import STEPS
from tests.chaos.library import Library
from tests.chaos.servers import FAST, IMMEDIATE, OwnCluster
from tests.chaos.told import KEYS
from tests.support import Docproc

LEASE = 3.0

FROZEN = 4.0
"""Seconds for which a process is stopped: longer than the lease, so that it wakes up as a zombie."""

PARSER_TIMEOUT, GRACE = 3.0, 6.0
"""Of the parser's settings. Another submits 2 x timeout + grace after the mark at the earliest, and a frozen process
sends the submit that it has marked within timeout + ``FROZEN``: the difference is what a slow machine may add."""

MARGIN = PARSER_TIMEOUT + GRACE - FROZEN

EMBED_THREADS = 2
MAX_INPUTS = 16
MAX_SUBMITS = 30

FAULTS = (
    "llamaparse.rate_limit:rate=0.05,retry_after=0.2",
    "llamaparse.server_error:rate=0.04",
    "llamaparse.unavailable:rate=0.04,on=upload+submit+poll+fetch+list",
    "llamaparse.error_after_accept:rate=0.03",
    "llamaparse.reset:rate=0.03",
    "llamaparse.empty_answer:rate=0.02",
    "llamaparse.html_answer:rate=0.02",
    "llamaparse.poll_error:rate=0.1",
    "llamaparse.fetch_error:rate=0.06",
    "llamaparse.unknown_state:rate=0.05",
    "llamaparse.not_found_yet:rate=0.1,seconds=0.3",
    "llamaparse.late:rate=0.1,seconds=1",
    "openai.rate_limit:rate=0.06,retry_after=0.2",
    "openai.server_error:rate=0.04",
    "openai.unavailable:rate=0.03",
    "openai.truncated:rate=0.02",
    "openai.html_answer:rate=0.01",
    "openai.too_few:rate=0.01",
    "openai.wrong_dimensions:rate=0.01",
    "openai.nan:rate=0.01",
    "openai.zero:rate=0.01",
    "openai.slow:rate=0.3,seconds=0.4",
)
"""Passing faults that strike about every fifth request of each kind, and delays that widen the windows.

None of them has the parser bill twice. Of those of the embedder that are billed, every one is refused as an answer, so
that the ledger tells them from the requests that a crash cut off; hence no broken connections and no timeouts here.
"""

ENVIRONMENT = {
    "DOCPROC_RUNNER_LEASE": str(LEASE),
    "DOCPROC_RUNNER_HEARTBEAT": "1",
    "DOCPROC_RUNNER_MAX_ATTEMPTS": "30",  # a storm kills the innocent more often than poison kills anybody
    "DOCPROC_RUNNER_BACKOFF_BASE": "0.05",
    "DOCPROC_RUNNER_BACKOFF_CAP": "0.5",
    "DOCPROC_RUNNER_EMBED_THREADS": str(EMBED_THREADS),
    "DOCPROC_EMBEDDER_MAX_INPUTS": str(MAX_INPUTS),
    "DOCPROC_EMBEDDER_DIMENSIONS": "32",
    "DOCPROC_EMBEDDER_TIMEOUT": "30",
    "DOCPROC_PARSER_TIMEOUT": str(PARSER_TIMEOUT),
    "DOCPROC_PARSER_RECONCILE_GRACE": str(GRACE),
    "DOCPROC_PARSER_MAX_SUBMITS": str(MAX_SUBMITS),
    "DOCPROC_PARSER_MAX_POLL": "0.5",
    # As real services, so that the keys are in use that no log may show.
    "DOCPROC_PARSER_SERVICE": "real",
    "DOCPROC_EMBEDDER_SERVICE": "real",
    **KEYS,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a storm is: its documents, its processes, how often each thing happens, and its deadline in seconds."""

    documents: int
    processes: int
    kills: int
    freezes: int
    cuts: int
    crashes: int
    restarts: int
    cleanups: int
    seed: int
    seconds: float

    def events(self) -> list[str]:
        """What happens, in a seeded order."""
        names = ("kill", "freeze", "cut", "crash", "restart", "cleanup")
        counts = (self.kills, self.freezes, self.cuts, self.crashes, self.restarts, self.cleanups)
        events = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
        random.Random(self.seed).shuffle(events)
        return events


SHORT = Plan(
    documents=60, processes=3, kills=6, freezes=2, cuts=4, crashes=1, restarts=1, cleanups=3, seed=7, seconds=120
)
LONG = Plan(
    documents=2000,
    processes=4,
    kills=180,
    freezes=90,
    cuts=60,
    crashes=8,
    restarts=4,
    cleanups=60,
    seed=7,
    seconds=3600,
)


@dataclass(slots=True)
class Storm:
    """One storm over ``docproc`` and its cluster. ``run`` returns when every document is through and nobody works."""

    plan: Plan
    docproc: Docproc
    own: OwnCluster
    library: Library
    logs: Path
    happened: Counter[str] = field(default_factory=Counter)
    ended: Counter[int] = field(default_factory=Counter)
    cleaned: Counter[int] = field(default_factory=Counter)
    _running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _sweeping: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _started: int = 0

    def run(self) -> float:
        """Lets it rage; returns the seconds it took. What happens is spread evenly over the progress of the work."""
        began = time.monotonic()
        rng, events = random.Random(self.plan.seed), self.plan.events()
        try:
            for _ in range(self.plan.processes):
                self._start()
            while self._running:
                assert time.monotonic() - began < self.plan.seconds, f"not over after {self.plan.seconds} s"
                self._replace()
                so_far = self.happened.total()
                if self._running and so_far < len(events) and self._progress() >= 0.9 * so_far / len(events):
                    self._let_happen(events[so_far], rng)
                time.sleep(0.05)
            self.cleaned.update(process.wait(timeout=60) for process in self._sweeping)
        finally:
            self._end_all()
        return time.monotonic() - began

    def said(self) -> Iterator[str]:
        """Every line that any of the processes wrote."""
        for log in sorted(self.logs.iterdir()):
            yield from log.read_text(encoding="utf-8", errors="replace").splitlines()

    # ── what happens ────────────────────────────────────────────────────────────────────────────────────────────────

    def _let_happen(self, event: str, rng: random.Random) -> None:
        match event:
            case "kill":
                rng.choice(self._running).send_signal(signal.SIGKILL)
            case "freeze":
                self._freeze(rng.choice(self._running))
            case "cut" if self.own.terminate(rng):
                pass
            case "cut":
                return  # there is nobody now: later
            case "cleanup":
                # What keeps nothing for any time removes the most.
                self._sweeping.append(self._process("cleanup", "--grace", "0"))
            case _:
                self.own.restart(IMMEDIATE if event == "crash" else FAST)
        self.happened[event] += 1

    def _progress(self) -> float:
        """The share of all changes of state that took place."""
        with psycopg.connect(self.own.conninfo) as conn:
            found = conn.execute("SELECT count(*) FROM docproc.job_events WHERE from_status <> to_status").fetchone()
        assert found is not None
        return float(found[0] / (STEPS * self.library.documents))

    # ── processes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        self._running.append(self._process("run-all", str(self.library.folder)))

    def _process(self, *words: str) -> subprocess.Popen[bytes]:
        self._started += 1
        with (self.logs / f"{self._started:04}.log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "docproc", "-v", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.docproc.folder,
                env=dict(self.docproc.environ),
            )

    def _replace(self) -> None:
        """Puts a new process in the place of each that ended with the work undone."""
        for process in [process for process in self._running if process.poll() is not None]:
            self._running.remove(process)
            self.ended[process.returncode] += 1
            if process.returncode != 0:
                self._start()

    def _freeze(self, victim: subprocess.Popen[bytes]) -> None:
        victim.send_signal(signal.SIGSTOP)
        # By a clock of its own: a freeze that a restart of Postgres prolongs would be another experiment.
        thaw = threading.Timer(FROZEN, victim.send_signal, [signal.SIGCONT])
        thaw.daemon = True
        thaw.start()

    def _end_all(self) -> None:
        for process in (*self._running, *self._sweeping):
            process.kill()
            process.wait()
