"""Prints how three processes share a rate limit that a mock enforces: ``python -m tests.performance.shared_limit``."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psycopg

from docproc.errors import Exit
from docproc.local import cluster, mocks
from tests.performance.bench import corpus
from tests.performance.bench.measure import Place
from tests.support import Mocks

PROCESSES = 3
REQUESTS_A_MINUTE, TOKENS_A_MINUTE = 600, 200_000
LIMITS = {
    "DOCPROC_EMBEDDER_REQUESTS_PER_MINUTE": str(REQUESTS_A_MINUTE),
    "DOCPROC_EMBEDDER_TOKENS_PER_MINUTE": str(TOKENS_A_MINUTE),
}
FAULTS = (
    f"openai.rate_limit:over={REQUESTS_A_MINUTE},per=60",
    f"openai.rate_limit:over_tokens={TOKENS_A_MINUTE},per=60",
)
SENT = """
SELECT c.run_id::text, extract(epoch FROM c.started_at)::float8, c.units_estimated
  FROM docproc.api_calls c WHERE c.operation = 'embed' AND c.outcome = 'ok' ORDER BY 2
"""


@dataclass(frozen=True, slots=True)
class Load:
    """Documents that meet one of the two limits first: how many, of how many bytes, and settings for it."""

    scarce: str
    documents: int
    size: int
    settings: dict[str, str]


LOADS = (
    Load("tokens", 1_300, 1_000, {}),
    Load("requests", 1_300, 100, {"DOCPROC_EMBEDDER_MAX_INPUTS": "1"}),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that was answered: by which run, when (epoch seconds), and its tokens."""

    run: str
    at: float
    tokens: int


def main() -> None:
    """Runs each load for about two minutes and tells what was used of the limit, and by whom."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--only", choices=[load.scarce for load in LOADS])
    given = words.parse_args()
    for load in LOADS:
        if given.only in (None, load.scarce):
            with tempfile.TemporaryDirectory(prefix="docproc-limit-") as folder:
                _run(load, Path(folder))


def _run(load: Load, folder: Path) -> None:
    with (
        cluster.start(folder) as server,
        mocks.start(folder / "mocks", options=mocks.MockOptions(0.0, faults=FAULTS)) as services,
    ):
        home, files = folder / "home", folder / "files"
        home.mkdir()
        files.mkdir()
        vocabulary = corpus.vocabulary()
        for n in range(load.documents):
            (files / f"{n:05}.md").write_text(corpus.document(n, load.size, vocabulary), encoding="utf-8")
        place = Place(server.dsn, services.address, home, 0)
        place.run("migrate")
        place.run("ingest", str(files))
        for stage in ("parse", "validate", "chunk"):
            place.run(stage)
        _embed(place, load)
        with psycopg.connect(server.dsn) as conn:
            sent = [Sent(*row) for row in conn.execute(SENT)]
        refused = sum(bool(row["faults"]) for row in Mocks(services.address).log())
        _tell(load, sent, refused)


def _embed(place: Place, load: Load) -> None:
    environment = place.environment(**LIMITS, **load.settings, DOCPROC_SEARCH_INDEX="none")
    command = [sys.executable, "-m", "docproc", "embed"]
    running = [subprocess.Popen(command, env=environment, cwd=place.home) for _ in range(PROCESSES)]
    ended = [process.wait() for process in running]
    # The first to find nothing left to claim says that others are still at work.
    if not set(ended) <= {Exit.OK, Exit.WORK_LEFT} or Exit.OK not in ended:
        raise RuntimeError(f"docproc embed ended with {ended}")


def _tell(load: Load, sent: Sequence[Sent], refused: int) -> None:
    first, last = sent[0].at, sent[-1].at
    print(f"\nscarce: {load.scarce}; {len(sent)} requests, {last - first:.0f} s, {refused} answers of 429")
    for minute in range(int(last - first) // 60):
        within = [one for one in sent if 60 * minute <= one.at - first < 60 * (minute + 1)]
        tokens = sum(one.tokens for one in within)
        print(
            f"minute {minute + 1}: {len(within)} requests ({len(within) / REQUESTS_A_MINUTE:.1%}), "
            f"{tokens} tokens ({tokens / TOKENS_A_MINUTE:.1%})"
        )
    print(f"most in any 60 s: {most(sent, 60.0)} tokens, {most([Sent(s.run, s.at, 1) for s in sent], 60.0)} requests")
    for run in dict.fromkeys(one.run for one in sent):
        own = [one for one in sent if one.run == run]
        gap = max((b.at - a.at for a, b in pairwise(own)), default=0.0)
        part = sum(one.tokens for one in own) / sum(one.tokens for one in sent)
        print(f"process {run[:8]}: {len(own)} requests, {part:.1%} of the tokens, longest wait {gap:.1f} s")


def most(sent: Sequence[Sent], seconds: float) -> int:
    """The most tokens that were sent in any window of ``seconds``."""
    found, begin, tokens = 0, 0, 0
    for one in sent:
        tokens += one.tokens
        while sent[begin].at <= one.at - seconds:
            tokens -= sent[begin].tokens
            begin += 1
        found = max(found, tokens)
    return found


if __name__ == "__main__":
    main()
