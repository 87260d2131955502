"""The same work on a Dask cluster: the same results, whatever becomes of its workers; no cluster of another kind."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.conftest import FullRun, local
from tests.e2e.dask_cluster import LONG, cluster
from tests.e2e.documents import PAGES, one_of_each, texts
from tests.e2e.tables import Tables
from tests.support import FIXTURES, Docproc, Mocks, Talking, wait_until

ON_TWO = ("--on", "dask://", "--workers", "2")

CHUNKS = "SELECT chunk_id, chunk_sha, text FROM docproc.document_chunk_buffer ORDER BY chunk_id"
VECTORS = "SELECT chunk_id, vector_sha FROM docproc.document_vector_buffer ORDER BY chunk_id"
OWNERS = "SELECT DISTINCT claimed_by FROM docproc.upload_jobs WHERE claimed_by IS NOT NULL"
WORKERS = "SELECT count(DISTINCT worker) FROM docproc.job_events WHERE to_status = 'complete'"

LOOPBACK = "0100007F"
"""127.0.0.1, as /proc/net/tcp writes it."""


@pytest.fixture(autouse=True)
def _dask() -> None:
    pytest.importorskip("distributed", reason="needs the extra docproc[dask]")


def copies(tables: Tables) -> list[int]:
    """The pids of the docproc processes that hold a job."""
    return sorted(int(owner.split(":")[1]) for (owner,) in tables.rows(OWNERS))


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[1])


def test_two_workers_make_of_all_fixtures_what_one_process_makes(
    full_run: FullRun, docproc: Docproc, tables: Tables
) -> None:
    said = docproc.run("run-all", str(FIXTURES / "documents"), *ON_TWO, timeout=LONG)
    assert said.returncode == 0, said.stderr
    assert tables.states() == full_run.tables.states()
    assert tables.rows(CHUNKS) == full_run.tables.rows(CHUNKS)
    assert tables.rows(VECTORS) == full_run.tables.rows(VECTORS)
    lines = [line for line in said.stderr.splitlines() if line.startswith("tcp://")]
    assert len(lines) == 2
    assert all(line.endswith("failed 0, exit 0") for line in lines)
    assert f"done {len(tables.states())} " in said.stderr.splitlines()[-1]

    rows = tables.dump()
    again = docproc.run("run-all", str(FIXTURES / "documents"), *ON_TWO, timeout=LONG)
    assert again.returncode == 0, again.stderr
    assert tables.dump() == rows, "a run with nothing to do wrote something"


def test_a_killed_worker_of_the_cluster_costs_nothing_but_its_leases(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    folder = texts(one_of_each(tmp_path / "documents"), 36)
    before = services.bill()
    services.set_faults("openai.slow:seconds=0.5", "llamaparse.slow:seconds=0.5")
    few = {"DOCPROC_EMBEDDER_MAX_INPUTS": "2", "DOCPROC_RUNNER_EMBED_THREADS": "1", "DOCPROC_PARSER_TIMEOUT": "5"}
    run = Talking(Docproc({**docproc.environ, **few}, docproc.folder).start("run-all", str(folder), *ON_TWO))
    wait_until(lambda: tables.open_calls("embed") > 0 and len(copies(tables)) == 2, seconds=LONG)
    killed = copies(tables)[0]
    for pid in (parent(killed), killed):
        os.kill(pid, signal.SIGKILL)
    said = run.end(timeout=LONG)

    assert run.process.returncode == 0, said
    tables.assert_whole(40)
    after = services.bill()
    assert after["pages_billed"] - before["pages_billed"] == PAGES
    paid = after["embedding_inputs"] - before["embedding_inputs"]
    assert tables.distinct_texts() <= paid <= tables.distinct_texts() + tables.open_calls("embed")


def test_sigterm_at_the_driver_ends_the_copies_in_good_order(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    folder = texts(tmp_path / "documents", 60)
    services.set_faults("openai.slow:seconds=1")
    few = {"DOCPROC_EMBEDDER_MAX_INPUTS": "1", "DOCPROC_RUNNER_EMBED_THREADS": "1"}
    run = Talking(Docproc({**docproc.environ, **few}, docproc.folder).start("run-all", str(folder), *ON_TWO))
    wait_until(lambda: len(copies(tables)) == 2, seconds=LONG)
    pids = copies(tables)
    # To the whole group, as a terminal does with Ctrl-C, and a service manager with SIGTERM.
    for pid in (run.process.pid, *(parent(pid) for pid in pids)):
        os.kill(pid, signal.SIGINT)
    said = run.end(timeout=LONG)

    assert run.process.returncode == 130, said
    assert tables.leases() == 0
    assert set(tables.states().values()) != {"complete"}, "it went on to the end"
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert tables.open_calls("embed") == 0


def test_a_cluster_of_our_own_listens_on_loopback_alone(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    folder = texts(tmp_path / "documents", 20)
    services.set_faults("openai.slow:seconds=1")
    run = Talking(docproc.start("run-all", str(folder), *ON_TWO))
    wait_until(lambda: bool(copies(tables)), seconds=LONG)
    pids = {run.process.pid, *copies(tables), *(parent(pid) for pid in copies(tables))}
    found = {address for pid in pids for address in listening(pid)}
    services.set_faults()
    said = run.end(timeout=LONG)

    assert run.process.returncode == 0, said
    assert found == {LOOPBACK}


def listening(pid: int) -> set[str]:
    """The addresses at which a process takes TCP connections, as /proc/net/tcp writes them; 0A is LISTEN."""
    fds = [fd.readlink() for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()]
    inodes = {str(fd).strip("socket:[]") for fd in fds if str(fd).startswith("socket:")}
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{name}").read_text("ascii").splitlines()[1:]
    ]
    return {line[1].partition(":")[0] for line in lines if line[3] == "0A" and line[9] in inodes}


def test_a_standing_cluster_works_where_its_workers_have_the_same_settings(
    docproc: Docproc, tables: Tables, tmp_path: Path
) -> None:
    folder, environ = one_of_each(tmp_path / "documents"), dict(docproc.environ)
    with cluster(docproc.folder, environ, environ) as address:
        said = docproc.run("run-all", str(folder), "--on", f"dask://{address}", "--json", timeout=LONG)
    assert said.returncode == 0, said.stderr
    tables.assert_whole(4)
    summary = json.loads(said.stdout.splitlines()[-1])
    assert (summary["type"], summary["done"], summary["exit"]) == ("summary", 4, 0)
    assert {spent["operation"] for spent in summary["spent"]} == {"parse", "embed"}
    assert tables.number(WORKERS) == 1


@pytest.mark.parametrize(
    ("variable", "value", "named"),
    [
        ("DOCPROC_CHUNKER_NAME", "markdown-simple@1+max=200", "chunker.name"),
        pytest.param("DATABASE_URL", "postgresql://127.0.0.1:1/no", "on every worker", marks=pytest.mark.long),
        pytest.param("DOCPROC_HOME", "{folder}/elsewhere", "the storage", marks=pytest.mark.long),
    ],
)
def test_a_cluster_that_would_make_other_results_is_refused(
    docproc: Docproc, tables: Tables, tmp_path: Path, variable: str, value: str, named: str
) -> None:
    folder, environ = one_of_each(tmp_path / "documents"), dict(docproc.environ)
    other = {**environ, variable: value.format(folder=tmp_path)}
    with cluster(docproc.folder, environ, environ, other) as address:
        said = docproc.run("run-all", str(folder), "--on", f"dask://{address}", timeout=LONG)
    assert said.returncode == 2, said.stderr
    assert "engine.mismatch" in said.stderr
    assert named in said.stderr
    assert tables.states() == {}


def test_a_cluster_that_is_not_there_is_told(docproc: Docproc) -> None:
    said = docproc.run("run-all", "--on", "dask://127.0.0.1:1", timeout=LONG)
    assert said.returncode == 2
    assert "engine.unreachable" in said.stderr


def test_without_the_extra_the_run_says_what_to_install(docproc: Docproc, tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ImportError\n", encoding="utf-8")
    path = os.pathsep.join((str(tmp_path), docproc.environ["PYTHONPATH"]))
    said = docproc.run("run-all", "--on", "dask://", PYTHONPATH=path)
    assert said.returncode == 2
    assert "pip install 'docproc[dask]'" in said.stderr


def test_a_failed_document_is_told_as_by_a_run_here(docproc: Docproc, tables: Tables, tmp_path: Path) -> None:
    folder = texts(tmp_path / "documents", 2)
    (folder / "blank.txt").write_text(" \n", encoding="utf-8")
    said = docproc.run("run-all", str(folder), *ON_TWO, timeout=LONG)
    assert said.returncode == 3, said.stderr
    assert "validate.empty" in said.stderr
    assert "blank.txt" in said.stderr
    here = local(tmp_path / "here", docproc.environ["DATABASE_URL"], docproc.environ["DOCPROC_MOCKS_ADDRESS"])
    assert json.loads(here.run("status", "--json").stdout)["failures"][0]["code"] == "validate.empty"
