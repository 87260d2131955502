"""Measures two copies of docproc as plain processes, on a Dask cluster of their own, and on one that stands already."""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from docproc.local import cluster, mocks
from docproc.postgres import migrations
from docproc.postgres.database import Database
from tests.conftest import TABLES
from tests.e2e import dask_cluster
from tests.e2e.conftest import local
from tests.e2e.documents import texts
from tests.e2e.tables import Tables
from tests.support import Docproc

COPIES = 2
LIMIT = 900.0

_SETTLED = "SELECT min(at), max(at) FROM docproc.job_events WHERE from_status <> to_status"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds until the first job moved, from there to the last, in all, and the CPU seconds of all processes."""

    start: float
    drain: float
    wall: float
    cpu: float


def main(words: Sequence[str] | None = None) -> None:
    """Runs the measurement and prints a table."""
    options = _options(words)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="docproc-engines-")))
        running = stack.enter_context(cluster.start(folder / "cluster", fsync=False))
        services = stack.enter_context(mocks.start(folder / "mocks", options=mocks.MockOptions(processing_delay=0.0)))
        database = Database(running.dsn)
        migrations.migrate(database)
        database.close()
        docproc, papers = local(folder / "desk", running.dsn, services.address), folder / "papers"
        found = dict(_measured(docproc, Tables(running.dsn), papers, options.documents))
    _show(found, options.documents)


def _measured(docproc: Docproc, tables: Tables, papers: Path, documents: int) -> Iterator[tuple[str, Times]]:
    def on(address: str) -> None:
        said = docproc.run("run-all", "--on", address, "--workers", str(COPIES), timeout=LIMIT)
        assert said.returncode == 0, said.stderr

    def measure(work: Callable[[], None]) -> Times:
        for table in TABLES:
            tables.change(f"DELETE FROM docproc.{table}")
        said = docproc.run("ingest", str(texts(papers, documents)), timeout=LIMIT)
        assert said.returncode == 0, said.stderr
        began, clock, cpu = datetime.now(UTC), time.monotonic(), _cpu()
        work()
        wall = time.monotonic() - clock
        first, last = tables.rows(f"{_SETTLED} AND from_status IS NOT NULL")[0]
        return Times((first - began).total_seconds(), (last - first).total_seconds(), wall, _cpu() - cpu)

    def plain() -> None:
        processes = [docproc.start("run-all") for _ in range(COPIES)]
        said = [process.communicate(timeout=LIMIT)[1] for process in processes]
        assert [process.returncode for process in processes] == [0] * COPIES, said

    yield "plain processes", measure(plain)
    yield "--on dask://", measure(lambda: on("dask://"))
    with dask_cluster.cluster(docproc.folder, docproc.environ, *[docproc.environ] * COPIES) as address:
        yield "--on a standing cluster", measure(lambda: on(f"dask://{address}"))


def _cpu() -> float:
    """CPU seconds of all processes that have ended and been waited for; those of a standing cluster are not in it."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _show(found: dict[str, Times], documents: int) -> None:
    table = Table(f"{documents:,} documents, {COPIES} copies", "start s", "drain s", "wall s", "wall, ratio", "CPU s")
    plain = next(iter(found.values()))
    for name, times in found.items():
        cells = (times.start, times.drain, times.wall, times.wall / plain.wall, times.cpu)
        table.add_row(name, *(f"{cell:.2f}" for cell in cells))
    Console(file=sys.stdout, width=110).print(table)


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=400)
    return parser.parse_args(words)


if __name__ == "__main__":
    main()
