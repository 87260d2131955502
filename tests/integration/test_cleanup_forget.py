"""forget: everything of one document goes at once, what others have stays, and what is left is counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from docproc.app import App
from docproc.cleanup.forgetting import forget
from docproc.errors import ConfigError, DocprocError, Exit, GuardError
from docproc.postgres.forgetting import Forgetting, Meant
from docproc.states import State
from docproc.storage import key
from tests.conftest import TABLES, MakeApp
from tests.integration.bench import Bench, bring, drain, pdf
from tests.support import Mocks

ONE, TWO = "# Ferry\n\nIt leaves at six.\n", "# Ebb\n\nLow at seven.\n"


def objects(app: App) -> set[str]:
    return {found.key for found in app.storage.objects("")}


def shown(bench: Bench) -> set[str]:
    return {Path(row["source"]).name for row in bench.sql("SELECT source FROM docproc.document_search")}


@pytest.fixture
def two(app: App, bench: Bench, tmp_path: Path) -> App:
    """A parsed PDF with two sources, and a text."""
    page = pdf("Words of a page")
    for name, data in (("a.pdf", page), ("b.pdf", page), ("other.md", TWO.encode())):
        bring(app, tmp_path / name, data)
    drain(app)
    return app


def test_a_document_goes_with_all_its_sources_and_the_parse_at_the_service(
    two: App, bench: Bench, tmp_path: Path, services: Mocks
) -> None:
    external, calls = bench.parse_call()["external_id"], bench.count("api_calls")
    done = forget(two, str(tmp_path / "b.pdf"), source=False, dry_run=False)
    assert done.trouble is None
    assert done.found == {
        "sources": 2,
        "upload_jobs": 1,
        "job_events": done.found["job_events"],
        "parse_calls": 1,
        "document_chunk_buffer": 1,
        "document_vector_buffer": 1,
        "stored objects": 3,
        "parses at the service": 1,
    }
    assert set(done.left.values()) == {0} and done.left.keys() == done.found.keys()
    assert shown(bench) == {"other.md"}
    assert bench.count("api_calls") == calls
    assert two.parser.poll(external).state == "gone"
    assert len(objects(two)) == 3
    assert two.store.reads.broken_invariants(lease=120, max_submits=3) == []


def test_a_dry_run_counts_and_removes_nothing(two: App, bench: Bench, tmp_path: Path) -> None:
    before = {table: bench.sql(f"SELECT xmin::text, t.* FROM docproc.{table} t ORDER BY t") for table in TABLES}
    stored = objects(two)
    done = forget(two, str(tmp_path / "a.pdf"), source=False, dry_run=True)
    assert done.found["upload_jobs"] == 1 and not done.left and done.trouble is None
    assert {t: bench.sql(f"SELECT xmin::text, t.* FROM docproc.{t} t ORDER BY t") for t in TABLES} == before
    assert objects(two) == stored


def test_a_source_goes_alone_while_another_has_its_document(two: App, bench: Bench, tmp_path: Path) -> None:
    done = forget(two, str(tmp_path / "a.pdf"), source=True, dry_run=False)
    assert (done.found["sources"], done.found["upload_jobs"], done.trouble) == (1, 0, None)
    assert shown(bench) == {"b.pdf", "other.md"}
    forget(two, str(tmp_path / "b.pdf"), source=True, dry_run=False)
    assert shown(bench) == {"other.md"} and bench.count("upload_jobs") == 1


def test_the_older_versions_of_a_source_go_with_it(app: App, bench: Bench, tmp_path: Path) -> None:
    for text in (ONE, TWO):
        bring(app, tmp_path / "ferry.md", text)
        drain(app)
    forget(app, str(tmp_path / "ferry.md"), source=True, dry_run=False)
    assert bench.count("upload_jobs") == bench.count("document_chunk_buffer") == 0
    assert objects(app) == set()


def test_another_users_equal_document_stays(app: App, make_app: MakeApp, bench: Bench, tmp_path: Path) -> None:
    other = make_app(user="someone")
    for one in (app, other):
        bring(one, tmp_path / "ferry.md", ONE)
        drain(one)
    forget(app, str(tmp_path / "ferry.md"), source=False, dry_run=False)
    assert [row["user_id"] for row in bench.sql("SELECT user_id FROM docproc.document_search")] == ["someone"]
    assert all("/someone/" in name for name in objects(app))


def test_a_document_somebody_works_on_is_refused_until_the_lease_has_run_out(
    two: App, bench: Bench, tmp_path: Path
) -> None:
    bring(two, tmp_path / "held.md", ONE)
    two.store.queue.claim([State.UPLOADED], 1)
    stored = objects(two)
    with pytest.raises(GuardError) as raised:
        forget(two, str(tmp_path / "held.md"), source=False, dry_run=False)
    assert (raised.value.code, raised.value.exit_code) == ("cleanup.in_flight", Exit.PROBLEMS)
    assert objects(two) == stored and bench.count("upload_jobs") == 3
    bench.sql("UPDATE docproc.upload_jobs SET lease_until = now() - interval '1 s' WHERE claimed_by IS NOT NULL")
    assert forget(two, str(tmp_path / "held.md"), source=False, dry_run=False).trouble is None
    assert bench.count("upload_jobs") == 2


def test_a_service_that_refuses_leaves_everything_as_it_was(
    two: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    services.set_faults("llamaparse.unavailable")
    with pytest.raises(DocprocError):
        forget(two, str(tmp_path / "a.pdf"), source=False, dry_run=False)
    assert shown(bench) == {"a.pdf", "b.pdf", "other.md"}


def test_a_parse_that_another_document_names_is_handed_on(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "a.txt", ONE)
    drain(app)
    bring(app, tmp_path / "b.txt", ONE + "\n")
    drain(app)
    own = key(f"storage://parsed/default/{bench.jobs()['b.txt']['document_id']}.md")
    app.storage.delete(own)  # it is there as a rule; where it is not, it is copied
    forget(app, str(tmp_path / "a.txt"), source=False, dry_run=False)
    assert key(bench.only()["parsed_path"]) == own and app.storage.exists(own)


def test_a_forget_that_was_killed_is_finished_by_the_next_by_id(
    two: App, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = str(bench.jobs()["a.pdf"]["document_id"])

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("docproc.postgres.sweeping.Sweeping.orphaned_vectors", die)
        with pytest.raises(KeyboardInterrupt):
            forget(two, document, source=False, dry_run=False)
    assert shown(bench) == {"other.md"}
    done = forget(two, document, source=False, dry_run=False)
    assert (done.found["stored objects"], done.found["document_chunk_buffer"]) == (3, 1)
    assert done.trouble is None and len(objects(two)) == 3


def test_a_file_that_comes_in_again_meanwhile_is_told_as_left(
    two: App, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Forgetting.forget

    def and_back(self: Forgetting, meant: Meant, uris: list[str]) -> None:
        real(self, meant, uris)
        bring(two, tmp_path / "other.md", TWO)

    monkeypatch.setattr(Forgetting, "forget", and_back)
    done = forget(two, str(tmp_path / "other.md"), source=False, dry_run=False)
    assert done.trouble is not None and done.trouble.exit_code == Exit.PROBLEMS
    assert (done.left["upload_jobs"], done.left["sources"], done.left["stored objects"]) == (1, 1, 3)
    assert "1 upload_jobs" in done.trouble.what
    drain(two)
    assert set(bench.states().values()) == {"complete"}


def test_bytes_that_an_ingest_is_about_to_make_a_job_for_are_left(
    two: App, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, real = key(bench.jobs()["a.pdf"]["raw_path"]), Forgetting.forget

    def and_written(self: Forgetting, meant: Meant, uris: list[str]) -> None:
        real(self, meant, uris)
        two.storage.write(raw, b"again")

    monkeypatch.setattr(Forgetting, "forget", and_written)
    done = forget(two, str(tmp_path / "a.pdf"), source=False, dry_run=False)
    assert done.left["stored objects"] == 1 and done.trouble is not None
    assert two.storage.read(raw) == b"again"


@pytest.mark.parametrize("source", [True, False])
def test_what_is_not_known_is_refused(two: App, source: bool) -> None:
    with pytest.raises(ConfigError):
        forget(two, "/in/nothing.pdf", source=source, dry_run=False)


def test_a_name_of_two_documents_is_refused(app: App, bench: Bench, tmp_path: Path) -> None:
    bring(app, tmp_path / "ferry.md", ONE)
    drain(app)
    bring(app, tmp_path / "ferry.md", TWO)
    with pytest.raises(ConfigError, match="2 documents"):
        forget(app, str(tmp_path / "ferry.md"), source=False, dry_run=False)
