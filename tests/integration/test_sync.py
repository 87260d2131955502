"""sync: what is gone from a folder is withdrawn, guarded; what comes back is shown again and costs nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docproc.app import App
from docproc.errors import ConfigError, Exit, GuardError
from docproc.stages.finding import Scan, find
from docproc.stages.ingest import ingest
from docproc.states import State
from docproc.store import Ingested
from docproc.sync import MaxWithdraw, Withdrawn, sync
from tests.conftest import MakeApp
from tests.integration.bench import Bench, bought, drain, pdf
from tests.support import Mocks

ANY = MaxWithdraw.told("100%")


def scanned(app: App, *paths: Path, ignore: Sequence[str] = ()) -> tuple[dict[str, str], Scan, set[str]]:
    """Ingests ``paths``: the outcomes by the names of the files, the scan, and the paths that were seen."""
    scan = Scan(ignore)
    found = list(find([str(path) for path in paths], scan=scan))
    seen = {os.path.abspath(entry) for entry in found if isinstance(entry, Path)}  # noqa: PTH100 - as ingest names them
    catalogue, settings = app.store.catalogue, app.settings.ingest
    done = list(ingest(found, target=app.target, catalogue=catalogue, storage=app.storage, settings=settings))
    outcomes = {Path(entry.source.uri).name: entry.outcome for entry in done if isinstance(entry, Ingested)}
    return outcomes, scan, seen


def synced(app: App, *paths: Path, limit: MaxWithdraw = ANY, ignore: Sequence[str] = ()) -> Withdrawn:
    _, scan, seen = scanned(app, *paths, ignore=ignore)
    return sync(app.store, app.settings.user, scan, seen, limit=limit)


def shown(bench: Bench, user: str = "default") -> dict[str, str]:
    """What readers see: the text of each source by its name."""
    rows = bench.sql("SELECT source, text FROM docproc.document_search WHERE user_id = %s ORDER BY chunk_ord", user)
    return {Path(row["source"]).name: row["text"] for row in rows}


def broken(app: App) -> list[dict[str, Any]]:
    return app.store.reads.broken_invariants(lease=120, max_submits=3)


@pytest.fixture
def folder(app: App, tmp_path: Path) -> Path:
    """Three documents of a folder, complete."""
    made = tmp_path / "in"
    made.mkdir()
    for name in ("ebb", "flood", "tide"):
        (made / f"{name}.md").write_text(f"# {name}\n\nWords on the {name}.\n", "utf-8")
    scanned(app, made)
    drain(app)
    return made


def test_a_file_that_is_gone_is_hidden_at_once_and_the_others_stay(app: App, bench: Bench, folder: Path) -> None:
    (folder / "ebb.md").unlink()
    assert synced(app, folder) == Withdrawn(1, 3)
    assert set(shown(bench)) == {"flood.md", "tide.md"}
    assert synced(app, folder) == Withdrawn(0, 2)
    assert broken(app) == []


def test_a_file_that_comes_back_is_shown_at_once_and_free(app: App, bench: Bench, folder: Path) -> None:
    text = (folder / "ebb.md").read_text("utf-8")
    (folder / "ebb.md").unlink()
    synced(app, folder)
    (folder / "ebb.md").write_text(text, "utf-8")
    calls = bench.count("api_calls")
    outcomes, _, _ = scanned(app, folder)
    assert outcomes == {"ebb.md": "returned", "flood.md": "unchanged", "tide.md": "unchanged"}
    assert "ebb" in shown(bench)["ebb.md"]
    drain(app)
    assert bench.count("api_calls") == calls
    assert broken(app) == []


def test_a_file_that_comes_back_with_other_bytes_does_not_show_its_old_version(
    app: App, bench: Bench, folder: Path
) -> None:
    (folder / "ebb.md").unlink()
    synced(app, folder)
    (folder / "ebb.md").write_text("# ebb\n\nQuite another text.\n", "utf-8")
    assert scanned(app, folder)[0]["ebb.md"] == "changed"
    assert set(shown(bench)) == {"flood.md", "tide.md"}
    drain(app)
    assert "another" in shown(bench)["ebb.md"]


def test_a_moved_file_is_a_duplicate_under_its_new_name(app: App, bench: Bench, folder: Path) -> None:
    (folder / "ebb.md").rename(folder / "zenith.md")
    outcomes, scan, seen = scanned(app, folder)
    assert outcomes["zenith.md"] == "duplicate"
    assert sync(app.store, "default", scan, seen, limit=ANY) == Withdrawn(1, 4)
    assert set(shown(bench)) == {"flood.md", "tide.md", "zenith.md"}


def test_a_withdrawn_document_that_returns_after_a_switch_of_model_waits_for_its_own_vectors(
    app: App, make_app: MakeApp, bench: Bench, folder: Path
) -> None:
    text = (folder / "ebb.md").read_text("utf-8")
    (folder / "ebb.md").unlink()
    synced(app, folder)
    other = make_app(embedder=replace(app.settings.embedder, model="text-embedding-3-large"))
    other.store.catalogue.rebuild(other.target)
    drain(other)
    assert other.store.catalogue.switch(other.target).switched == 2
    (folder / "ebb.md").write_text(text, "utf-8")
    scanned(other, folder)
    assert "ebb.md" not in shown(bench)
    assert broken(app) == []
    drain(other)
    assert set(shown(bench)) == {"ebb.md", "flood.md", "tide.md"}


def test_the_guard_withdraws_nothing_and_says_what_would_allow_it(app: App, bench: Bench, folder: Path) -> None:
    for name in ("ebb", "flood"):
        (folder / f"{name}.md").unlink()
    with pytest.raises(GuardError) as raised:
        synced(app, folder, limit=MaxWithdraw())
    error = raised.value
    assert (error.code, error.exit_code) == ("ingest.withdraw_guard", Exit.PROBLEMS)
    assert "2 of 3 sources" in error.what and "10 %" in error.what
    assert "ebb.md" in error.why and "--max-withdraw 2" in error.remedy
    assert len(shown(bench)) == 3
    with pytest.raises(GuardError):
        synced(app, folder, limit=MaxWithdraw.told("1"))
    assert synced(app, folder, limit=MaxWithdraw.told("2")).withdrawn == 2


@pytest.mark.parametrize(("live", "gone", "refused"), [(30, 3, False), (30, 4, True), (9, 1, True), (10, 1, False)])
def test_a_share_is_counted_of_the_live_sources_exactly(
    bench: Bench, app: App, tmp_path: Path, live: int, gone: int, refused: bool
) -> None:
    for n in range(live):
        if n >= gone:
            (tmp_path / f"{n}.md").touch()
        bench.sql(
            "INSERT INTO docproc.sources (user_id, uri, document_id) VALUES ('default', %s, gen_random_uuid())",
            str(tmp_path / f"{n}.md"),
        )
    scan = Scan(roots=[tmp_path], complete=True)
    if refused:
        with pytest.raises(GuardError):
            sync(app.store, "default", scan, set(), limit=MaxWithdraw())
    else:
        assert sync(app.store, "default", scan, set(), limit=MaxWithdraw()).withdrawn == gone


@pytest.mark.parametrize("text", ["", "ten", "10 %%", "101%", "-1", "1.5"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        MaxWithdraw.told(text)


def test_an_empty_mount_point_withdraws_nothing(app: App, bench: Bench, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(GuardError):
        synced(app, folder, limit=MaxWithdraw())
    assert len(shown(bench)) == 3


def test_a_folder_that_is_gone_is_an_incomplete_scan_and_withdraws_nothing(
    app: App, bench: Bench, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.rename(folder.with_name("elsewhere"))
    assert synced(app, folder) == Withdrawn(complete=False)
    assert [getattr(record, "code", None) for record in caplog.records].count("ingest.incomplete_scan") == 1
    assert len(shown(bench)) == 3


def test_a_scan_that_was_cut_short_withdraws_nothing(app: App, bench: Bench, folder: Path) -> None:
    (folder / "ebb.md").unlink()
    scan = Scan()
    seen = {str(next(iter(find([str(folder)], scan=scan))))}
    assert sync(app.store, "default", scan, seen, limit=ANY) == Withdrawn(complete=False)
    assert len(shown(bench)) == 3


def test_only_what_is_below_the_folder_is_withdrawn(app: App, bench: Bench, tmp_path: Path) -> None:
    """Neither a folder whose name begins alike, nor one that a wildcard of LIKE would match."""
    for name in ("a_b", "a_bc", "axb"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.md").write_text(f"# {name}\n\nText.\n", "utf-8")
    scanned(app, tmp_path)
    drain(app)
    for name in ("a_b", "a_bc", "axb"):
        (tmp_path / name / f"{name}.md").unlink()
    assert synced(app, tmp_path / "a_b") == Withdrawn(1, 1)
    assert set(shown(bench)) == {"a_bc.md", "axb.md"}


def test_a_file_that_is_ignored_by_now_is_withdrawn(app: App, bench: Bench, folder: Path) -> None:
    assert synced(app, folder, ignore=("ebb.*",)).withdrawn == 1
    assert set(shown(bench)) == {"flood.md", "tide.md"}


def test_a_file_that_came_while_the_scan_went_is_left_alone(app: App, bench: Bench, folder: Path) -> None:
    _, scan, seen = scanned(app, folder)
    assert sync(app.store, "default", scan, seen - {str(folder / "ebb.md")}, limit=ANY) == Withdrawn(0, 3)


def test_another_users_source_of_the_same_path_stays(app: App, make_app: MakeApp, bench: Bench, folder: Path) -> None:
    other = make_app(user="someone")
    scanned(other, folder)
    drain(other)
    (folder / "ebb.md").unlink()
    assert synced(app, folder).withdrawn == 1
    assert set(shown(bench, "someone")) == {"ebb.md", "flood.md", "tide.md"}


def test_a_withdrawn_document_that_is_on_its_way_goes_on_and_is_not_shown(
    app: App, bench: Bench, services: Mocks, tmp_path: Path
) -> None:
    before, folder = services.bill(), tmp_path / "in"
    folder.mkdir()
    (folder / "late.pdf").write_bytes(pdf("Words that come late"))
    scanned(app, folder)
    (folder / "late.pdf").unlink()
    assert synced(app, folder).withdrawn == 1
    drain(app)
    assert bench.states() == {"late.pdf": State.COMPLETE}
    assert shown(bench) == {}
    assert bought(services, before) == (1, 1)
    assert broken(app) == []
