"""Workers that can be killed: each a queue of its own under the name of a real process, or of one on another host."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from uuid import uuid4

from docproc.local.identity import host_name
from docproc.local.processes import started_at
from docproc.postgres.database import Database
from docproc.postgres.queue import Queue
from tests.chaos.queue_model import MAX_ATTEMPTS
from tests.integration.bench import RUNNER

SETTINGS = replace(RUNNER, max_attempts=MAX_ATTEMPTS)


@dataclass(frozen=True, slots=True)
class Worker:
    """One docproc process: its queue, and a real process whose end makes it dead to others; None: on another host."""

    queue: Queue
    process: subprocess.Popen[bytes] | None

    @classmethod
    def start(cls, database: Database, *, here: bool) -> Worker:
        """A new worker, on this host or elsewhere."""
        process = subprocess.Popen(["sleep", "600"]) if here else None
        name = f"{host_name()}:{process.pid}:{started_at(process.pid)}" if process else "elsewhere:1:1"
        return cls(Queue(database, f"{name}:{uuid4().hex}", SETTINGS), process)

    def kill(self) -> None:
        """Ends it at once."""
        if self.process:
            self.process.kill()
            self.process.wait()
