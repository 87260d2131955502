"""Processes that chunk beside us: the same chunks, a death that costs one document a try, and no orphans."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from docproc import chunkers
from docproc.chunkers import child, workers
from docproc.chunkers.reading import TextFile
from docproc.chunkers.workers import Worker, Workers
from docproc.errors import TransientError
from docproc.model import Chunk, PageSpan

_TEXT = "# Häfen\n\n" + "The tide was high at noon, said 王. " * 3_000 + "\n\n# End\n\n\u2028x"


@pytest.fixture
def document(tmp_path: Path) -> Iterator[TextFile]:
    path = tmp_path / "text.md"
    path.write_text(_TEXT, "utf-8")
    with path.open("rb") as file:
        yield TextFile(file, (PageSpan(1, 0, 500), PageSpan(2, 500, len(_TEXT))))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> Workers:
    """Workers that are started for the shortest text."""
    monkeypatch.setattr(workers, "LONG", 0)
    return Workers(3)


def _here(document: TextFile, spec: str = "markdown-simple@1") -> list[Chunk]:
    return list(chunkers.get(spec).chunk(document))


def test_a_process_gives_the_same_chunks_one_document_after_another(eager: Workers, document: TextFile) -> None:
    for spec in ("markdown-simple@1", "markdown-simple@1+max=100", "tokens@1+overlap=20"):
        assert list(eager.chunk(chunkers.get(spec), document)) == _here(document, spec)
    assert len(eager.pids) == 1


def test_a_small_run_starts_no_process(document: TextFile) -> None:
    small = Workers(4)
    for _ in range(20):
        assert sum(1 for _ in small.chunk(chunkers.get("markdown-simple@1"), document)) > 9
    assert small.pids == []


def test_a_run_of_many_documents_starts_processes(document: TextFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "MANY", 3 * document.size)
    many = Workers(4)
    started = []
    for _ in range(4):
        assert list(many.chunk(chunkers.get("markdown-simple@1"), document)) == _here(document)
        started.append(len(many.pids))
    assert started == [0, 0, 1, 1]


def test_threads_are_enough_for_two_cores(document: TextFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LONG", 0)
    for most in (0, 1, 2):
        alone = Workers(most)
        assert list(alone.chunk(chunkers.get("markdown-simple@1"), document)) == _here(document)
        assert alone.pids == []


def test_a_killed_process_costs_its_document_a_try_and_no_other(eager: Workers, document: TextFile) -> None:
    chunker = chunkers.get("markdown-simple@1")
    list(eager.chunk(chunker, document))
    (pid,) = eager.pids
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(TransientError) as caught:
        list(eager.chunk(chunker, document))
    assert caught.value.code == "chunk.worker_died"
    assert caught.value.why == "by signal 9"
    assert list(eager.chunk(chunker, document)) == _here(document)
    assert pid not in eager.pids


def test_an_answer_that_was_left_half_read_is_not_taken_for_the_next(eager: Workers, document: TextFile) -> None:
    chunker = chunkers.get("markdown-simple@1+max=32")
    half = eager.chunk(chunker, document)
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert eager.pids == []
    assert list(eager.chunk(chunkers.get("tokens@1"), document)) == _here(document, "tokens@1")


def test_a_process_without_memory_says_so_and_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(spec: str) -> None:
        raise MemoryError

    order = json.dumps({"chunker": "markdown-simple@1", "size": 1, "pages": []}).encode() + b"\na"
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(order + order)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=out))
    monkeypatch.setattr(chunkers, "get", none_left)
    child.main()
    assert out.getvalue().splitlines() == [b'{"ended": "MemoryError"}'] * 2


def test_a_process_dies_with_the_one_that_started_it() -> None:
    script = (
        "import time; from docproc.chunkers.workers import Worker\n"
        "worker = Worker(); print(worker.pid, flush=True); time.sleep(600)"
    )
    root = str(Path(workers.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": root}
    ) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _lives(pid: int) -> bool:
    """Whether the process runs; one that nobody waited for yet does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not (state.exists() and state.read_text().rpartition(")")[2].split()[0] == "Z")


def test_a_worker_that_nobody_holds_is_gone() -> None:
    worker = Worker()
    pid = worker.pid
    del worker
    assert not _lives(pid)
