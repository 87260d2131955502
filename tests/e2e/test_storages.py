"""The whole story over each storage: run-all, search, the same again, cleanup; and what becomes of its troubles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import storages
from tests.e2e.conftest import local
from tests.e2e.documents import pdf
from tests.e2e.storages import BACKENDS, Objects
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks


@pytest.fixture(scope="module", autouse=True)
def _all_servers() -> Iterator[None]:
    with storages.servers(*BACKENDS):
        yield


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder with a text that costs nothing and a PDF that is parsed."""
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "note.md").write_text("# Harbour\n\nA buoy was painted green.\n", encoding="utf-8")
    (folder / "plan.pdf").write_bytes(pdf("The crane lifts at noon.", "The tide turns at six."))
    return folder


def over(backend: str, conninfo: str, services: Mocks, folder: Path, **variables: str) -> Docproc:
    """docproc over ``backend``, in a place of its own."""
    told = storages.variables(folder / "desk", services.address, backend)
    if backend == "local":
        told["DOCPROC_STORAGE_BACKEND"] = "local"
    return local(folder / "desk", conninfo, services.address, **(told | variables))


def asked(services: Mocks, operation: str) -> int:
    """How often the mock storage was asked for something."""
    return sum(row["operation"] == operation for row in services.log())


def written(tables: Tables) -> list[object]:
    """Every job, chunk and vector with the transaction that wrote it."""
    dump = tables.dump()
    return [dump[name] for name in ("upload_jobs", "document_chunk_buffer", "document_vector_buffer")]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_whole_story(
    conninfo: str, services: Mocks, tables: Tables, documents: Path, tmp_path: Path, backend: str
) -> None:
    docproc = over(backend, conninfo, services, tmp_path)
    objects = Objects.of(docproc)
    said = docproc.run("run-all", str(documents))
    assert said.returncode == 0, said.stderr
    tables.assert_whole(2)
    kept = objects.all_keys()
    assert [key.partition("/")[0] for key in kept] == ["parsed"] * 4 + ["raw"] * 2
    (first,) = json.loads(docproc.run("search", "--json", "-k", "1", "painted green").stdout)["hits"][:1]
    assert first["source"].endswith("note.md")

    before, bill = written(tables), services.bill()["pages_billed"]
    assert docproc.run("run-all", str(documents)).returncode == 0
    assert objects.all_keys() == kept
    assert services.bill()["pages_billed"] == bill
    assert tables.states() == {"note.md": "complete", "plan.pdf": "complete"}
    assert written(tables) == before

    for orphan in ("raw/default/old.txt", "raw/default/young.txt"):
        objects.write(orphan, b"nobody's")
    objects.make_old("raw/default/old.txt")
    assert docproc.run("cleanup").returncode == 0
    assert objects.all_keys() == sorted([*kept, "raw/default/young.txt"])
    tables.assert_whole(2)


def test_without_an_address_the_local_profile_keeps_its_objects_at_the_mocks(
    conninfo: str, services: Mocks, tables: Tables, documents: Path, tmp_path: Path
) -> None:
    docproc = over("supabase", conninfo, services, tmp_path)
    told = {name: value for name, value in docproc.environ.items() if not name.startswith("SUPABASE_")}
    told["DOCPROC_STORAGE_BUCKET"] = f"made-for-{tmp_path.name}"
    uploads = asked(services, "put")
    said = Docproc(told, docproc.folder).run("run-all", str(documents))
    assert said.returncode == 0, said.stderr
    tables.assert_whole(2)
    assert asked(services, "put") - uploads == 6
    staging = Docproc({**told, "DOCPROC_PROFILE": "staging"}, docproc.folder)
    (docproc.folder / "docproc.toml").write_text("[profile.staging]\n", encoding="utf-8")
    said = staging.run("ingest", str(documents))
    assert (said.returncode, "SUPABASE_URL is not set" in said.stderr) == (2, True), said.stderr


def test_a_storage_that_is_away_for_a_moment_or_reads_wrong_once_is_not_noticed(
    conninfo: str, services: Mocks, tables: Tables, documents: Path, tmp_path: Path
) -> None:
    docproc = over("supabase", conninfo, services, tmp_path)
    services.set_faults("storage.unavailable:times=2,on=put", "storage.corrupt:times=1", "storage.cut:times=1,after=1")
    said = docproc.run("run-all", str(documents))
    assert said.returncode == 0, said.stderr
    tables.assert_whole(2)
    struck = [fault for row in services.log() for fault in row["faults"] if fault.startswith("storage.")]
    assert {"storage.unavailable", "storage.corrupt", "storage.cut"} <= set(struck)


@pytest.mark.parametrize(("fault", "code", "exit_code"), [("refused_key", "credentials", 12), ("quota", "quota", 5)])
def test_a_refused_key_or_a_used_up_quota_stops_the_run_and_loses_nothing(
    conninfo: str,
    services: Mocks,
    tables: Tables,
    documents: Path,
    tmp_path: Path,
    fault: str,
    code: str,
    exit_code: int,
) -> None:
    docproc = over("supabase", conninfo, services, tmp_path)
    assert docproc.run("ingest", str(documents)).returncode == 0
    services.set_faults(f"storage.{fault}")
    said = docproc.run("run-all")
    assert said.returncode == exit_code, said.stderr
    assert f"{code}.storage" in said.stderr
    assert set(tables.states().values()) <= {"uploaded", "parse_queued"}
    services.set_faults()
    assert docproc.run("run-all").returncode == 0
    tables.assert_whole(2)
