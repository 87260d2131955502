"""Asks checks in threads, each when what it needs is well, and none for longer than it may take."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from docproc.checks import Check, Deployment, Finding, Result, problem, skip
from docproc.errors import DocprocError
from docproc.redaction import words_of

log = logging.getLogger(__name__)

WIDTH = 5
"""Checks asked at once: fewer than the connections of the pool."""

IN_ALL = 45.0
"""Seconds for all of them together, on top of what the slowest may take by itself."""


def run(deployment: Deployment, checks: Sequence[Check], *, in_all: float = IN_ALL) -> list[Result]:
    """What each check found, in the order given; an error that a check raises is its finding.

    One whose needs are not well, or are not among ``checks``, is skipped. Takes no longer than ``in_all`` seconds and
    the longest that a single check may take.
    """
    end = time.monotonic() + in_all + max((check.seconds for check in checks), default=0.0)
    asking = _Asking(deployment, {check.id: check for check in checks}, end)
    while asking.waiting or asking.running:
        asking.start_what_can()
        asking.collect()
    return [asking.done[check.id] for check in checks]


@dataclass(slots=True)
class _Asking:
    deployment: Deployment
    waiting: dict[str, Check]
    end: float
    running: dict[str, tuple[Check, float]] = field(default_factory=dict)
    done: dict[str, Result] = field(default_factory=dict)
    answers: queue.SimpleQueue[tuple[str, Finding]] = field(default_factory=queue.SimpleQueue)

    def start_what_can(self) -> None:
        """Starts what has all it needs, and skips what will never have it; over again, for a skip leads to others."""
        # From the end, where the services are: they take longest.
        for check in reversed(list(self.waiting.values())):
            lacking = [need for need in check.needs if self._is_lacking(need)]
            if self.deployment.offline and check.network:
                self._settle(check, skip("asks the network, and this is --offline"))
            elif lacking:
                self._settle(check, skip(f"needs {', '.join(lacking)}"))
            elif len(self.running) < WIDTH and all(need in self.done for need in check.needs):
                del self.waiting[check.id]
                self.running[check.id] = (check, time.monotonic())
                # A daemon: one that hangs must not keep the program from its end.
                threading.Thread(target=self._ask, args=(check,), daemon=True, name=check.id).start()

    def collect(self) -> None:
        """Takes the next answer, or gives up what takes too long."""
        if not self.running:
            return
        ends = [min(self.end, started + check.seconds) for check, started in self.running.values()]
        try:
            id_, finding = self.answers.get(timeout=max(0.0, min(ends) - time.monotonic()))
        except queue.Empty:
            self._give_up()
            return
        if id_ in self.running:
            self._settle(self.running[id_][0], finding)

    def _give_up(self) -> None:
        now = time.monotonic()
        for check, started in list(self.running.values()):
            if now >= min(self.end, started + check.seconds):
                self._settle(check, problem(f"no answer within {now - started:.1f} s", "see what holds it up"))
        if now >= self.end:
            for check in list(self.waiting.values()):
                self._settle(check, problem("not asked: the time for all checks is up", "see what holds them up"))

    def _is_lacking(self, need: str) -> bool:
        if need in self.done:
            return self.done[need].level in ("error", "skip")
        return need not in self.waiting and need not in self.running

    def _settle(self, check: Check, finding: Finding) -> None:
        self.waiting.pop(check.id, None)
        _, started = self.running.pop(check.id, (check, time.monotonic()))
        self.done[check.id] = Result(check, finding, time.monotonic() - started)

    def _ask(self, check: Check) -> None:
        try:
            finding = check.ask(self.deployment)
        except DocprocError as error:
            finding = problem(str(error), error.remedy)
        except Exception as error:
            log.debug("a check failed", extra={"check": check.id}, exc_info=error)
            why = f"{type(error).__name__}: {words_of(error)}".removesuffix(": ")
            finding = problem(why, "run docproc -vv validate-deploy for the traceback")
        self.answers.put((check.id, finding))
