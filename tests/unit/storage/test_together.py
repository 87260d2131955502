"""Holds objects that are written together to one sync, whole files, and an answer for each."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import docproc
from docproc.errors import TransientError
from docproc.storage import together
from docproc.storage.local import LocalStorage

ROOT = Path(docproc.__file__).parent.parent
KEY = "raw/default/0b8f.pdf"
PATIENCE = 30.0

# Writes many, and is stopped for good where the test says: the process tells how far it came and waits to be killed.
WRITER = """
import os, sys, time
from pathlib import Path
from docproc.storage import together
from docproc.storage.local import LocalStorage

root, where = sys.argv[1:]
renamed = 0

def stand(*_, **__):
    print("here", flush=True)
    time.sleep(600)

def rename(draft, path, really=os.replace):
    global renamed
    if renamed == {"not renamed": 0, "half renamed": 10}[where]:
        stand()
    renamed += 1
    really(draft, path)

def write(descriptor, data, really=os.write):
    really(descriptor, data[: len(data) // 2])
    stand()

if where == "half written":
    os.write = write
elif where == "not synced":
    together._syncfs = lambda: stand
else:
    os.replace = rename
LocalStorage(Path(root)).write_all([(f"raw/default/{n:02}.md", b"new" * 1000) for n in range(20)])
"""
WHERES = ["half written", "not synced", "not renamed", "half renamed"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "storage"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def kill_a_writer(root: Path, where: str) -> None:
    command = [sys.executable, "-c", WRITER, str(root), where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout is not None
        try:
            assert writer.stdout.readline() == b"here\n"
        finally:
            writer.send_signal(signal.SIGKILL)
        assert writer.wait(PATIENCE) == -signal.SIGKILL


def mode(path: Path) -> str:
    return f"{stat.S_IMODE(path.stat().st_mode):o}"


def keys(storage: LocalStorage, prefix: str = "") -> list[str]:
    return [one.key for one in storage.objects(prefix)]


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


MANY = [(f"raw/{'ada' if n % 2 else 'bob'}/{n:02}.md", b"%d" % n * n) for n in range(20)]


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many drafts there were, whenever the whole file system was synced."""
    sync = together._syncfs()
    assert sync is not None
    seen: list[int] = []

    def counting(descriptor: int) -> None:
        seen.append(len([name for name in os.listdir(descriptor) if name.startswith(".")]))
        sync(descriptor)

    monkeypatch.setattr(together, "_syncfs", lambda: counting)
    return seen


@pytest.mark.usefixtures("usual_umask")
def test_what_is_written_together_is_read(storage: LocalStorage, root: Path) -> None:
    assert storage.write_all(MANY) == [None] * len(MANY)
    assert {key: storage.read(key) for key in keys(storage)} == dict(MANY)
    assert len(files(root)) == len(MANY)
    assert {mode(path) for path in files(root)} == {"600"}
    assert {mode(path) for path in (root, root / "raw", root / "raw/ada", root / "raw/bob")} == {"700"}


def test_nothing_written_together_is_nothing(storage: LocalStorage) -> None:
    assert storage.write_all([]) == []


def test_many_are_synced_once_and_before_any_is_renamed(storage: LocalStorage, synced: list[int]) -> None:
    storage.write_all(MANY)
    assert synced == [len(MANY)]


def test_few_are_synced_each_by_itself(
    storage: LocalStorage, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync
    files_synced: set[int] = set()

    def counting(descriptor: int) -> None:
        facts = os.fstat(descriptor)
        files_synced.update([facts.st_ino] if stat.S_ISREG(facts.st_mode) else [])
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", counting)
    storage.write_all(MANY[: together.FEW])
    assert synced == []
    assert len(files_synced) == together.FEW


@pytest.mark.parametrize(
    ("release", "tells"),
    [("6.18.44-x", True), ("5.8.0", True), ("5.10", True), ("5.4.0-42", False), ("4.18.0-rhel", False), ("x", False)],
)
def test_the_sync_of_all_is_believed_only_where_it_tells_of_errors(release: str, tells: bool) -> None:
    assert together._tells_errors(release) is tells


def test_a_sync_that_fails_keeps_none(storage: LocalStorage, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write(MANY[5][0], b"old")
    monkeypatch.setattr(together, "_syncfs", lambda: no_room)
    answers = storage.write_all(MANY)
    assert {(type(answer), answer and answer.code) for answer in answers} == {(TransientError, "storage.unavailable")}
    assert {path.read_bytes() for path in files(root)} == {b"old"}


def test_one_that_cannot_be_placed_does_not_stop_the_others(storage: LocalStorage, root: Path) -> None:
    bad = 7
    (root / MANY[bad][0]).mkdir(parents=True)
    (root / "parsed").write_bytes(b"a file where a folder should be")
    answers = storage.write_all([*MANY, ("parsed/ada/1.md", b"data")])
    assert [n for n, answer in enumerate(answers) if answer is not None] == [bad, len(MANY)]
    assert {key: storage.read(key) for key in keys(storage, "raw/")} == dict(MANY[:bad] + MANY[bad + 1 :])
    assert len(files(root)) == len(MANY)  # and the file in the way, but no draft


def test_the_last_of_equal_keys_stays(storage: LocalStorage, root: Path) -> None:
    assert storage.write_all([(KEY, b"first"), (KEY, b"last")]) == [None, None]
    assert storage.read(KEY) == b"last"
    assert len(files(root)) == 1


def test_a_key_that_is_none_is_refused_before_anything_is_written(storage: LocalStorage, root: Path) -> None:
    with pytest.raises(ValueError, match="not a storage key"):
        storage.write_all([*MANY, ("../a", b"data")])
    assert not root.exists()


@pytest.mark.parametrize("where", WHERES)
def test_a_killed_writer_of_many_leaves_whole_objects_and_drafts_that_are_swept(
    storage: LocalStorage, root: Path, where: str
) -> None:
    old = {f"raw/default/{n:02}.md": b"old" for n in range(0, 20, 3)}
    assert storage.write_all(list(old.items())) == [None] * len(old)
    kill_a_writer(root, where)
    done = {f"raw/default/{n:02}.md": b"new" * 1000 for n in range(10 if where == "half renamed" else 0)}
    assert {key: storage.read(key) for key in keys(storage)} == {**old, **done}
    drafts = [path for path in files(root) if path.name.startswith(".")]
    assert len(drafts) == {"half written": 1, "half renamed": 10}.get(where, 20)
    for path in drafts:
        os.utime(path, (time.time() - 3700,) * 2)
    assert storage.sweep(3600, dry_run=False) == len(drafts)
    assert len(files(root)) == len({**old, **done})
