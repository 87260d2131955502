"""ingest meets the files of real disks: odd names, links, pipes, devices, closed doors, lists and globs."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import fed
from tests.e2e.storages import Objects
from tests.e2e.tables import Tables
from tests.support import Docproc, wait_until


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one good text file."""
    made = tmp_path / "documents"
    made.mkdir()
    (made / "good.txt").write_text("The ferry leaves at six.\n", encoding="utf-8")
    return made


def assert_refused(said: subprocess.CompletedProcess[str], code: str, name: str) -> None:
    """Fails unless the good file came in and the one other was refused with ``code``."""
    assert said.returncode == 3, said.stderr
    assert "new 1" in said.stderr
    assert "failed 1" in said.stderr
    assert f"1 {code} (refused)" in said.stderr
    assert name in said.stderr
    assert "Traceback" not in said.stderr


def test_a_name_that_would_steer_the_terminal_is_printed_escaped(
    docproc: Docproc, tables: Tables, folder: Path
) -> None:
    (folder / "evil\n\x1b[31mred.exe").write_bytes(b"MZ")
    (folder / "two\nlines\x1b[2J.md").write_text("# Tide\n\nLow at noon.\n", encoding="utf-8")
    said = docproc.run("run-all", str(folder))
    assert said.returncode == 3
    found = docproc.run("search", "tide")
    assert "\x1b" not in said.stderr + found.stdout + docproc.run("status", "--json").stdout
    assert "evil\\n\\x1b[31mred.exe" in said.stderr
    assert "two\\nlines\\x1b[2J.md\t" in found.stdout
    assert tables.states() == {"good.txt": "complete", "two\nlines\x1b[2J.md": "complete"}


def test_a_pipe_in_a_folder_is_refused_and_stops_nothing(docproc: Docproc, folder: Path) -> None:
    os.mkfifo(folder / "pipe.txt")
    assert_refused(docproc.run("ingest", str(folder)), "ingest.not_regular", "pipe.txt")


def test_a_device_is_refused(docproc: Docproc, folder: Path) -> None:
    (folder.parent / "zero.txt").symlink_to("/dev/zero")
    said = docproc.run("ingest", str(folder), str(folder.parent / "zero.txt"))
    assert_refused(said, "ingest.not_regular", "zero.txt")


def test_a_link_that_leads_out_of_the_folder_is_refused_and_one_that_stays_is_followed(
    docproc: Docproc, tables: Tables, folder: Path
) -> None:
    (folder.parent / "secret.txt").write_text("Not for this folder.\n", encoding="utf-8")
    (folder / "out.txt").symlink_to("../secret.txt")
    (folder / "same.txt").symlink_to("good.txt")
    said = docproc.run("ingest", str(folder))
    assert_refused(said, "ingest.outside", "out.txt")
    assert "duplicate 1" in said.stderr
    assert tables.number("SELECT count(*) FROM docproc.upload_jobs") == 1


@pytest.mark.parametrize("target", ["round.txt", "gone.txt"])
def test_a_link_that_leads_nowhere_is_refused_and_stops_nothing(docproc: Docproc, folder: Path, target: str) -> None:
    (folder / "round.txt").symlink_to(target)
    code = "ingest.unreadable" if target == "round.txt" else "ingest.missing"
    assert_refused(docproc.run("ingest", str(folder)), code, "round.txt")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_closed_file_is_refused(docproc: Docproc, folder: Path) -> None:
    (folder / "closed.txt").write_text("Not for you.\n", encoding="utf-8")
    (folder / "closed.txt").chmod(0)
    assert_refused(docproc.run("ingest", str(folder)), "ingest.unreadable", "closed.txt")


def test_a_name_that_is_not_utf_8_is_refused(docproc: Docproc, folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.txt")).write_text("Open until ten.\n", encoding="utf-8")
    assert_refused(docproc.run("ingest", str(folder)), "ingest.unreadable", "caf\\udce9.txt")


def test_names_are_read_from_standard_input(docproc: Docproc, tables: Tables, folder: Path) -> None:
    (folder / "with space.md").write_text("# Oars\n\nThey lean behind the door.\n", encoding="utf-8")
    said = fed(docproc, f"{folder / 'good.txt'}\n\n{folder / 'with space.md'}\n{folder / 'none.md'}\n", "ingest", "-")
    assert said.returncode == 3
    assert "ingest.missing" in said.stderr
    assert tables.states() == {"good.txt": "uploaded", "with space.md": "uploaded"}


def test_a_quoted_glob_is_expanded_by_docproc(docproc: Docproc, tables: Tables, folder: Path) -> None:
    (folder / "deep").mkdir()
    for n, place in enumerate((folder, folder / "deep")):
        (place / f"{n}.md").write_text(f"# Boat {n}\n\nIt leaks at plank {n}.\n", encoding="utf-8")
    assert docproc.run("ingest", f"{folder}/**/*.md").returncode == 0
    assert tables.states() == {"0.md": "uploaded", "1.md": "uploaded"}


def test_a_file_that_comes_in_by_another_path_is_not_done_again(docproc: Docproc, tables: Tables, folder: Path) -> None:
    assert docproc.run("ingest", str(folder / "good.txt")).returncode == 0
    (folder / "copy.txt").write_bytes((folder / "good.txt").read_bytes())
    said = docproc.run("ingest", str(folder))
    assert "duplicate 1 · unchanged 1" in said.stderr
    assert tables.number("SELECT count(*) FROM docproc.upload_jobs") == 1
    assert tables.number("SELECT count(*) FROM docproc.sources") == 2


def test_a_changed_file_replaces_its_old_version_when_it_is_complete(
    docproc: Docproc, tables: Tables, folder: Path
) -> None:
    shown = "SELECT text FROM docproc.document_search"
    assert docproc.run("run-all", str(folder)).returncode == 0
    (folder / "good.txt").write_text("The ferry leaves at seven.\n", encoding="utf-8")
    assert "changed 1" in docproc.run("ingest", str(folder)).stderr
    assert "six" in str(tables.rows(shown))
    assert docproc.run("run-all").returncode == 0
    ((text,),) = tables.rows(shown)
    assert "seven" in text


def test_names_may_come_ended_by_nul(docproc: Docproc, tables: Tables, folder: Path) -> None:
    odd = folder / "two\nlines.md"
    odd.write_text("# Oars\n\nThey lean behind the door.\n", encoding="utf-8")
    said = fed(docproc, f"{odd}\0{folder / 'good.txt'}\0", "ingest", "-")
    assert said.returncode == 0, said.stderr
    assert tables.states() == {"good.txt": "uploaded", "two\nlines.md": "uploaded"}


def test_names_are_read_from_a_list(docproc: Docproc, tables: Tables, folder: Path) -> None:
    (folder / "list").write_text(f"{folder / 'good.txt'}\r\n{folder / '*.md'}\r\n", encoding="utf-8")
    (folder / "oars.md").write_text("# Oars\n\nThey lean behind the door.\n", encoding="utf-8")
    said = docproc.run("ingest", "--from-file", str(folder / "list"))
    assert said.returncode == 0, said.stderr
    assert tables.states() == {"good.txt": "uploaded", "oars.md": "uploaded"}
    said = docproc.run("ingest", str(folder), "--from-file", str(folder / "none"))
    assert said.returncode == 2
    assert "config.usage" in said.stderr


def test_what_is_litter_or_ignored_is_passed_over_without_a_word(
    docproc: Docproc, tables: Tables, folder: Path
) -> None:
    for name in (".DS_Store", "~$good.docx", "Thumbs.db", "late.md.part", "draft.md", "note.log.md", "deep/draft.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"# {name}\n", encoding="utf-8")
    (folder / ".docprocignore").write_text("# not yet\n/draft.md\n", encoding="utf-8")
    said = docproc.run("ingest", str(folder), DOCPROC_INGEST_IGNORE="*.log.md;*.none")
    assert said.returncode == 0, said.stderr
    assert tables.states() == {"good.txt": "uploaded", "draft.md": "uploaded"}
    assert docproc.run("ingest", str(folder / "note.log.md")).returncode == 0
    assert "note.log.md" in tables.states()


def test_very_many_files_small_and_large_come_in_once_and_whole(
    docproc: Docproc, tables: Tables, objects: Objects, folder: Path
) -> None:
    for n in range(1_100):
        text = f"# Note {n % 1_000}\n" * (20_000 if n in (3, 600) else 1)  # 99 are there twice, two are large
        (folder / f"{n:04}.md").write_text(text, encoding="utf-8")
    said = docproc.run("ingest", str(folder))
    assert said.returncode == 0, said.stderr
    assert "new 1,002" in said.stderr
    assert "duplicate 99" in said.stderr
    stored = tables.rows("SELECT raw_path, raw_sha, raw_bytes FROM docproc.upload_jobs")
    assert len(stored) == 1_002
    for path, sha, size in stored:
        data = objects.read(path.removeprefix("storage://"))
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (sha, size)
    assert len(objects.all_keys()) == 1_002
    assert "unchanged 1,101" in docproc.run("ingest", str(folder)).stderr


def test_a_killed_ingest_leaves_no_job_without_its_bytes(
    docproc: Docproc, tables: Tables, objects: Objects, folder: Path
) -> None:
    for n in range(1_500):
        (folder / f"{n:04}.md").write_text(f"# Note {n}\n", encoding="utf-8")
    jobs = "SELECT count(*) FROM docproc.upload_jobs"
    process = docproc.start("ingest", str(folder))
    try:
        wait_until(lambda: tables.number(jobs) > 0)
    finally:
        process.kill()
        process.communicate()
    kept = set(objects.all_keys())
    assert {
        path.removeprefix("storage://") for (path,) in tables.rows("SELECT raw_path FROM docproc.upload_jobs")
    } <= kept
    assert docproc.run("ingest", str(folder)).returncode == 0
    assert tables.number(jobs) == 1_501
    assert len(objects.all_keys()) == 1_501
