"""A Postgres cluster of a test's own, which the test may crash, restart and throw clients out of."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from docproc.local import cluster
from docproc.local.server import PostgresServer
from docproc.postgres import migrations
from docproc.postgres.database import Database
from tests.support import wait_until

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""What ``pg_ctl -m fast`` and ``-m immediate`` send to the server."""


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """A running cluster; ``conninfo`` stays true over every restart."""

    server: PostgresServer
    conninfo: str

    def restart(self, mode: signal.Signals) -> None:
        """Stops the server in one of the two modes and starts it again."""
        self.stop(mode)
        self.server.start()

    def stop(self, mode: signal.Signals) -> None:
        """Stops the server; returns when it has ended."""
        status = self.server.status()
        assert status is not None
        os.kill(status.pid, mode)
        wait_until(lambda: self.server.status() is None)

    def terminate(self, rng: random.Random) -> int:
        """Terminates some of docproc's backends, one at least if there is one; returns how many."""
        with psycopg.connect(self.conninfo, autocommit=True) as conn:
            found = "SELECT pid FROM pg_stat_activity WHERE application_name = 'docproc' ORDER BY pid"
            pids = [pid for (pid,) in conn.execute(found)]
            chosen = rng.sample(pids, rng.randint(1, len(pids))) if pids else []
            conn.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [chosen])
        return len(chosen)

    @property
    def log(self) -> Path:
        """What the server wrote."""
        return self.server.log

    def parameters(self) -> Mapping[str, Any]:
        """The parts of ``conninfo``, with the password in place of the file that holds it."""
        parts = conninfo_to_dict(self.conninfo)
        password = self.server.passfile.read_text(encoding="ascii").strip().rpartition(":")[2]
        return {**{name: value for name, value in parts.items() if value and name != "passfile"}, "password": password}


@contextmanager
def own_cluster(folder: Path, *, migrated: bool = True) -> Iterator[OwnCluster]:
    """Runs a cluster with its data in ``folder``, with docproc's schema, until the context ends.

    Without fsync: what the server has written outlives its crash all the same, only not a crash of the machine.
    """
    server = PostgresServer(folder.resolve() / "postgres", cluster.binaries(), fsync=False)
    with cluster.ClusterHandle(server) as handle:
        if migrated:
            database = Database(handle.dsn)
            migrations.migrate(database)
            database.close()
        yield OwnCluster(server, handle.dsn)
