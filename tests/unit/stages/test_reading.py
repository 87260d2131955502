"""Holds the reading of files to its bounds: how far ahead it goes, how much it takes together, what it refuses."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from docproc.model import Source
from docproc.settings import IngestSettings
from docproc.stages.finding import Refused
from docproc.stages.ingest import AHEAD, BATCH, BATCH_BYTES, SMALL, TOGETHER, looked


def batches(*paths: Path, max_bytes: int = 100_000_000) -> list[list[Source | Refused]]:
    return list(looked(paths, IngestSettings(max_bytes=max_bytes)))


def sparse(path: Path, size: int) -> Path:
    path.touch()
    os.truncate(path, size)
    return path


@pytest.mark.parametrize("size", [1, SMALL - 1, SMALL, SMALL + 1, SMALL * 9 + 17])
def test_a_file_of_any_size_is_told_by_all_its_bytes(tmp_path: Path, size: int) -> None:
    data = bytes(n % 251 for n in range(size))
    (tmp_path / "a.TXT").write_bytes(data)
    assert batches(tmp_path / "a.TXT") == [
        [Source(os.fspath(tmp_path / "a.TXT"), ".txt", hashlib.sha256(data).hexdigest(), size)]
    ]


@pytest.mark.parametrize("size", [11, SMALL + 11])
def test_a_file_over_the_limit_is_refused(tmp_path: Path, size: int) -> None:
    ((refused,),) = batches(sparse(tmp_path / "a.txt", size), max_bytes=size - 1)
    assert isinstance(refused, Refused)
    assert refused.error.code == "ingest.too_large"
    assert isinstance(batches(tmp_path / "a.txt", max_bytes=size)[0][0], Source)


@pytest.mark.parametrize("rest", [b"", bytes(SMALL)])
def test_a_file_that_is_not_what_its_extension_says_is_refused(tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "a.pdf").write_bytes(b"\x89PNG" + rest)
    ((refused,),) = batches(tmp_path / "a.pdf")
    assert isinstance(refused, Refused)
    assert (refused.error.code, refused.error.why) == ("ingest.wrong_type", "it is a PNG image")


def test_the_order_is_kept_and_every_file_told_once(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.md" for n in range(BATCH + 3)]
    for path in paths[::2]:
        path.write_text(path.name, encoding="utf-8")
    first, second = batches(*paths)
    assert (len(first), len(second)) == (BATCH, 3)
    told = [entry.path if isinstance(entry, Refused) else entry.uri for entry in [*first, *second]]
    assert told == [os.fspath(path) for path in paths]
    assert [isinstance(entry, Source) for entry in first[:4]] == [True, False, True, False]


def test_a_batch_ends_at_its_bytes(tmp_path: Path) -> None:
    paths = [sparse(tmp_path / f"{n}.txt", BATCH_BYTES // 4 + 1) for n in range(9)]
    assert [len(batch) for batch in batches(*paths)] == [4, 4, 1]


def test_reading_goes_only_a_little_ahead_and_ends_with_its_reader(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("text", encoding="utf-8")
    taken = 0

    def endless() -> Iterator[Path]:
        nonlocal taken
        while True:
            taken += 1
            yield tmp_path / "a.md"

    reading = looked(endless(), IngestSettings())
    assert len(next(reading)) == BATCH
    reading.close()  # type: ignore[attr-defined]
    assert taken <= BATCH + (AHEAD + 2) * TOGETHER
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("docproc-ingest")]
