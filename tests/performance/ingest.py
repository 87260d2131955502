"""Prints what it costs to bring in very many small files: ``python -m tests.performance.ingest [--files N]``."""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg

from docproc.local import cluster, mocks
from tests.performance.bench.measure import Cost, Place

A_FOLDER = 1_000
"""Files in one folder."""

SIZES = (500, 1_500, 4_000, 12_000)
"""Bytes of the files, one size after the other."""

MOST_MB = 200
"""Megabytes that the process may have in memory."""


def main() -> None:
    """Makes the files, brings them in, then again unchanged; and the least that reading and copying them could cost."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--files", type=int, default=100_000)
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="docproc-ingest-") as folder, ExitStack() as stack:
        server = stack.enter_context(cluster.start(Path(folder)))
        services = stack.enter_context(mocks.start(Path(folder, "mocks"), options=mocks.MockOptions()))
        pid_file = Path(folder, "postgres", "data", "postmaster.pid")
        home = Path(folder, "home")
        home.mkdir()
        place = Place(server.dsn, services.address, home, int(pid_file.read_text(encoding="ascii").split()[0]))
        files = Path(folder, "files")
        size = write(files, given.files)
        os.sync()
        print(f"{given.files:,} files, {size / 1e6:,.0f} MB, load {os.getloadavg()[0]:.1f}")
        place.clear()
        print(f"{'':24}{'wall':>8}{'files/s':>10}{'client':>8}{'server':>8}{'MB':>6}")
        first = told("docproc ingest", given.files, place.measure("ingest", str(files)))
        told("the same again", given.files, place.measure("ingest", str(files)))
        jobs = count(server.dsn)
        least("read and hash", given.files, lambda: read(files))
        least("copy, one sync", given.files, lambda: copy(files, Path(folder, "copies")))
    if jobs != given.files or first.peak_mb > MOST_MB:
        raise SystemExit(f"{jobs:,} jobs of {given.files:,} files, {first.peak_mb:.0f} MB of at most {MOST_MB}")


def write(folder: Path, files: int) -> int:
    """Writes ``files`` Markdown files, all different, below ``folder``; returns their bytes together."""
    line = "The ferry to the island leaves at noon and comes back at dusk, wind and water allowing.\n"
    text = line * (max(SIZES) // len(line) + 1)
    together = 0
    for n in range(files):
        place = folder / f"{n // A_FOLDER:03}"
        if n % A_FOLDER == 0:
            place.mkdir(parents=True)
        together += (place / f"{n:06}.md").write_text(
            f"# Note {n}\n\n{text}"[: SIZES[n % len(SIZES)]], encoding="utf-8"
        )
    return together


def count(conninfo: str) -> int:
    """The jobs in the database."""
    with psycopg.connect(conninfo) as conn:
        (jobs,) = conn.execute("SELECT count(*) FROM docproc.upload_jobs").fetchone() or (0,)
    return int(jobs)


def read(folder: Path) -> None:
    """Reads and hashes all files, one after the other."""
    for path in folder.rglob("*.md"):
        hashlib.sha256(path.read_bytes()).digest()


def copy(folder: Path, target: Path) -> None:
    """Copies all files into one folder, and makes them last."""
    target.mkdir()
    for path in folder.rglob("*.md"):
        (target / path.name).write_bytes(path.read_bytes())
    os.sync()


def least(name: str, files: int, work: Callable[[], None]) -> None:
    """Does ``work`` and prints what it cost."""
    begun, cpu = time.perf_counter(), time.process_time()
    work()
    wall = time.perf_counter() - begun
    print(f"{name:24}{wall:8.1f}{files / wall:10,.0f}{time.process_time() - cpu:8.1f}", flush=True)


def told(name: str, files: int, cost: Cost) -> Cost:
    """Prints what a run cost."""
    speed = files / cost.wall
    print(
        f"{name:24}{cost.wall:8.1f}{speed:10,.0f}{cost.client_cpu:8.1f}{cost.server_cpu:8.1f}{cost.peak_mb:6.0f}",
        flush=True,
    )
    return cost


if __name__ == "__main__":
    main()
