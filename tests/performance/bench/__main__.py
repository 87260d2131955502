"""Prints the benchmark's table and writes it as JSON: ``python -m tests.performance.bench [--json FILE] [--quick]``."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from docproc.local import cluster, mocks
from tests.performance.bench import corpus, floor
from tests.performance.bench.measure import Cost, Place, start_up

CHUNKER = {"DOCPROC_CHUNKER_NAME": "markdown-simple@1+max=512", "DOCPROC_SEARCH_INDEX": "none"}
SLOW = 0.1
"""Seconds that a request takes at the slow service."""


def main() -> None:
    """Runs every leg and tells what it cost."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--json", type=Path, help="write the figures to this file as well")
    words.add_argument("--quick", action="store_true", help="only the workload itself, once")
    given = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="docproc-bench-") as folder:
        figures = Benchmark(Path(folder), quick=given.quick).run()
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


class Benchmark:
    """The legs, in one folder with a cluster and mocks of their own."""

    def __init__(self, folder: Path, *, quick: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.figures: dict[str, Any] = {}

    def run(self) -> dict[str, Any]:
        """Every leg; returns name: figures."""
        with ExitStack() as stack:
            server = stack.enter_context(cluster.start(self.folder))
            fast = stack.enter_context(
                mocks.start(self.folder / "fast", options=mocks.MockOptions(processing_delay=0.1))
            )
            slow = stack.enter_context(
                mocks.start(
                    self.folder / "slow", options=mocks.MockOptions(0.1, faults=(f"openai.slow:seconds={SLOW}",))
                )
            )
            pid_file = self.folder / "postgres" / "data" / "postmaster.pid"
            postmaster = int(pid_file.read_text(encoding="ascii").split()[0])
            home = self.folder / "home"
            home.mkdir()
            place = Place(server.dsn, fast.address, home, postmaster)
            self._workload(place, Place(server.dsn, slow.address, home, postmaster))
            if not self.quick:
                self._growth(place)
                self._processes(place)
                self._one_large(place)
        return self.figures

    def _workload(self, place: Place, slow: Place) -> None:
        files = self.folder / "300"
        size = corpus.write(files)
        print(f"{corpus.FILES} files, {size / 1e6:.1f} MB, chunks of 512 tokens, load {os.getloadavg()[0]:.1f}")
        place.clear()
        parts = floor.measure(files, mocks=place.mocks, conninfo=place.conninfo)
        wall, cpu = start_up(place.environment())
        least = sum(parts.values())
        told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items())
        print(f"floor {least:.2f} s ({told}); interpreter and imports {wall:.2f} s wall, {cpu:.2f} s CPU")
        self.figures["floor"] = {**parts, "sum": least, "imports_wall": wall, "imports_cpu": cpu}
        print(f"{'':28}{'wall':>8}{'client':>8}{'server':>8}{'MB':>6}{'requests':>9}{'inputs':>8}{'chunks':>8}")
        fast_cost = self._leg("300 files, 0 ms", place, files)
        self._leg("300 files again", place, files, clear=False)
        slow_cost = self._leg("300 files, 100 ms", slow, files)
        print(f"wall / (2 x floor + imports) {fast_cost.wall / (2 * least + wall):.2f}")
        print(f"client CPU beyond imports / floor {(fast_cost.client_cpu - cpu) / least:.2f}")
        print(f"wall at 100 ms / at 0 ms {slow_cost.wall / fast_cost.wall:.2f}")

    def _growth(self, place: Place) -> None:
        for times in (4, 16):
            files = self.folder / f"{300 * times}"
            corpus.write(files, files=300 * times)
            self._leg(f"{300 * times} files", place, files)

    def _processes(self, place: Place) -> None:
        for count in (2, 4):
            self._leg(f"300 files, {count} processes", place, self.folder / "300", processes=count)

    def _one_large(self, place: Place) -> None:
        files = self.folder / "large"
        files.mkdir()
        text = corpus.document(1, 50_000_000, corpus.vocabulary())
        (files / "large.md").write_text(text, encoding="utf-8")
        self._leg("one file of 50 MB", place, files)

    def _leg(self, name: str, place: Place, files: Path, *, processes: int = 1, clear: bool = True) -> Cost:
        if clear:
            place.clear()
        cost = place.measure("run-all", str(files), processes=processes, **CHUNKER)
        self.figures[name] = asdict(cost)
        print(
            f"{name:28}{cost.wall:8.2f}{cost.client_cpu:8.2f}{cost.server_cpu:8.2f}{cost.peak_mb:6.0f}"
            f"{cost.requests:9}{cost.inputs:8}{cost.chunks:8}",
            flush=True,
        )
        return cost


if __name__ == "__main__":
    main()
