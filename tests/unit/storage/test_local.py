"""Holds the local storage to whole writes, private files, and keys that stay inside its folder."""

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
from docproc.errors import ConfigError, PermanentError, TransientError
from docproc.storage import Stored
from docproc.storage.local import LocalStorage

ROOT = Path(docproc.__file__).parent.parent
KEY = "raw/default/0b8f.pdf"
PATIENCE = 30.0

# Writes, and is stopped for good where the test says: the process tells how far it came and waits there to be killed.
WRITER = """
import os, sys, time
from pathlib import Path
from docproc.storage.local import LocalStorage

root, key, where = sys.argv[1:]

def stand(*_, **__):
    print("here", flush=True)
    time.sleep(600)

if where == "half written":
    opened = os.fdopen
    class Half:
        def __init__(self, file): self.file = file
        def __enter__(self): return self
        def __exit__(self, *_): pass
        def write(self, data):
            self.file.write(data[: len(data) // 2])
            self.file.flush()
            stand()
    os.fdopen = lambda descriptor, mode: Half(opened(descriptor, mode))
elif where == "not synced":
    os.fsync = stand
else:
    Path.replace = stand
LocalStorage(Path(root)).write(key, b"new" * 1000)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "home" / "storage"


@pytest.fixture
def storage(root: Path) -> LocalStorage:
    return LocalStorage(root)


def kill_a_writer(root: Path, where: str) -> None:
    command = [sys.executable, "-c", WRITER, str(root), KEY, where]
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


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", [b"", b"data", bytes(range(256)) * 1000])
def test_what_is_written_is_read(storage: LocalStorage, data: bytes) -> None:
    storage.write(KEY, data)
    assert storage.read(KEY) == data
    assert storage.exists(KEY)


def test_a_second_write_replaces_the_first(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"a longer old content")
    storage.write(KEY, b"new")
    assert storage.read(KEY) == b"new"
    assert len(files(root)) == 1


@pytest.mark.parametrize("where", ["half written", "not synced", "not renamed"])
def test_a_killed_writer_leaves_the_old_content(storage: LocalStorage, root: Path, where: str) -> None:
    storage.write(KEY, b"old")
    kill_a_writer(root, where)
    assert len(files(root)) == 2
    assert storage.read(KEY) == b"old"
    assert keys(storage) == [KEY]


@pytest.mark.parametrize("where", ["half written", "not synced", "not renamed"])
def test_a_killed_first_writer_leaves_no_key(storage: LocalStorage, root: Path, where: str) -> None:
    kill_a_writer(root, where)
    assert len(files(root)) == 1
    assert not storage.exists(KEY)
    assert keys(storage) == []
    storage.write(KEY, b"new")
    assert storage.read(KEY) == b"new"


@pytest.fixture
def usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.usefixtures("usual_umask")
def test_files_are_readable_by_their_owner_alone(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"data")
    assert mode(root / KEY) == "600"


@pytest.mark.usefixtures("usual_umask")
def test_every_folder_is_readable_by_its_owner_alone(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"data")
    folders = (root, root / "raw", root / "raw/default")
    assert {folder.name: mode(folder) for folder in folders} == {"storage": "700", "raw": "700", "default": "700"}


def test_a_write_that_fails_leaves_nothing_and_is_transient(storage: LocalStorage, root: Path) -> None:
    (root / KEY).mkdir(parents=True)
    with pytest.raises(TransientError) as caught:
        storage.write(KEY, b"data")
    assert caught.value.code == "storage.unavailable"
    assert files(root) == []


def test_a_file_where_a_folder_should_be_is_unavailable(storage: LocalStorage, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "raw").write_bytes(b"a file")
    with pytest.raises(TransientError) as caught:
        storage.write(KEY, b"data")
    assert caught.value.code == "storage.unavailable"


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_missing_is_missing(storage: LocalStorage) -> None:
    with pytest.raises(PermanentError) as caught:
        storage.read(KEY)
    assert caught.value.code == "storage.missing"
    assert not storage.exists(KEY)
    assert storage.age(KEY) == 0


def test_what_cannot_be_read_is_unavailable(storage: LocalStorage, root: Path) -> None:
    (root / KEY).mkdir(parents=True)
    with pytest.raises(TransientError) as caught:
        storage.read(KEY)
    assert caught.value.code == "storage.unavailable"
    assert not storage.exists(KEY)


def test_a_deleted_object_is_gone_and_deleting_it_again_is_no_error(storage: LocalStorage) -> None:
    storage.write(KEY, b"data")
    storage.delete(KEY)
    assert not storage.exists(KEY)
    storage.delete(KEY)
    storage.delete("raw/nobody/0b8f.pdf")


def test_the_age_is_counted_from_the_write(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"data")
    assert 0 <= storage.age(KEY) < PATIENCE
    an_hour_ago = time.time() - 3600
    os.utime(root / KEY, (an_hour_ago, an_hour_ago))
    assert storage.age(KEY) == pytest.approx(3600, abs=PATIENCE)


def test_a_file_from_the_future_has_no_age(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"data")
    tomorrow = time.time() + 86400
    os.utime(root / KEY, (tomorrow, tomorrow))
    assert storage.age(KEY) == 0


# ── keys ────────────────────────────────────────────────────────────────────────────────────────────────────────────

KEPT = ["parsed/ada/1.json", "parsed/ada/1.md", "raw/ada/1.pdf", "raw/adam/3.md", "raw/bob/2.txt"]


@pytest.mark.parametrize("prefix", ["", "raw", "raw/", "raw/ada", "raw/ada/", "raw/ada/1.pdf", "x/", "p"])
def test_keys_are_those_that_begin_with_the_prefix(storage: LocalStorage, prefix: str) -> None:
    for key in KEPT:
        storage.write(key, b"data")
    assert keys(storage, prefix) == [key for key in KEPT if key.startswith(prefix)]


def test_an_object_is_listed_with_its_size_and_age(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"twelve bytes")
    an_hour_ago = time.time() - 3600
    os.utime(root / KEY, (an_hour_ago, an_hour_ago))
    (listed,) = storage.objects("raw/")
    assert listed == Stored(KEY, 12, listed.age)
    assert listed.age == pytest.approx(3600, abs=PATIENCE)


def test_a_folder_that_was_moved_to_another_disk_and_linked_is_listed(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"data")
    (root / "raw").rename(root.parent / "elsewhere")
    (root / "raw").symlink_to(root.parent / "elsewhere")
    assert keys(storage) == [KEY]
    assert storage.read(KEY) == b"data"


def test_objects_that_go_while_they_are_listed_are_left_out(storage: LocalStorage) -> None:
    for key in KEPT:
        storage.write(key, b"data")
    listed = storage.objects("")
    assert next(listed).key == KEPT[0]
    for key in KEPT[1:4]:
        storage.delete(key)
    assert [one.key for one in listed] == KEPT[4:]


def test_a_folder_that_cannot_be_listed_is_unavailable(storage: LocalStorage, root: Path) -> None:
    root.mkdir(parents=True)
    (root / "raw").symlink_to("raw")
    with pytest.raises(TransientError) as caught:
        keys(storage)
    assert caught.value.code == "storage.unavailable"


def test_a_storage_that_was_never_written_to_has_no_keys(storage: LocalStorage) -> None:
    assert keys(storage) == []


def test_temporary_files_are_no_keys(storage: LocalStorage, root: Path) -> None:
    storage.write(KEY, b"data")
    (root / "raw/default/.0b8f.pdf.17.c0ffee00").write_bytes(b"half")
    assert keys(storage) == [KEY]


def test_keys_may_be_deleted_while_they_are_read(storage: LocalStorage) -> None:
    for key in KEPT:
        storage.write(key, b"data")
    for key in keys(storage):
        storage.delete(key)
    assert keys(storage) == []


@pytest.mark.parametrize(
    "key", ["", "/", "..", "../a", "raw/../../a", "raw/./a", "raw//a", "/etc/passwd", "raw/", "raw/.hidden", ".a/b"]
)
def test_keys_that_lead_out_of_the_folder_are_refused(storage: LocalStorage, root: Path, key: str) -> None:
    for use in (storage.read, storage.exists, storage.delete, storage.age):
        with pytest.raises(ValueError, match="not a storage key"):
            use(key)
    with pytest.raises(ValueError, match="not a storage key"):
        storage.write(key, b"data")
    assert not root.exists()


# ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_names_the_folder_and_makes_nothing(storage: LocalStorage, root: Path) -> None:
    assert storage.check() == str(root)
    assert not root.parent.exists()


def test_check_refuses_what_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        LocalStorage(tmp_path / "file").check()
    assert caught.value.code == "config.invalid"


# ── by blocks ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_drafted_by_blocks_is_one_object(storage: LocalStorage, root: Path) -> None:
    with storage.draft() as draft:
        for n in range(5):
            draft.write(bytes([n]) * 1000)
        assert keys(storage) == []
        draft.keep(KEY)
    with storage.open(KEY) as file:
        assert file.fileno() >= 0
        assert file.read() == b"".join(bytes([n]) * 1000 for n in range(5))
    assert len(files(root)) == 1
    assert mode(root / KEY) == "600"


def test_nothing_stays_of_a_draft_that_is_not_kept(storage: LocalStorage, root: Path) -> None:
    with pytest.raises(RuntimeError), storage.draft() as draft:
        draft.write(b"data")
        raise RuntimeError
    assert files(root) == []


def test_a_draft_replaces_an_object_only_when_it_is_kept(storage: LocalStorage) -> None:
    storage.write(KEY, b"old")
    with storage.draft() as draft:
        draft.write(b"new")
        assert storage.read(KEY) == b"old"
        draft.keep(KEY)
    assert storage.read(KEY) == b"new"


def test_what_is_open_stays_readable_when_it_is_replaced(storage: LocalStorage) -> None:
    storage.write(KEY, b"old")
    with storage.open(KEY) as file:
        storage.write(KEY, b"new")
        assert file.read() == b"old"


def test_an_object_that_is_not_there_cannot_be_opened(storage: LocalStorage) -> None:
    with pytest.raises(PermanentError) as caught:
        storage.open(KEY)
    assert caught.value.code == "storage.missing"


def test_a_full_disk_is_trouble_that_may_pass(storage: LocalStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TransientError) as caught, storage.draft() as draft:
        draft.write(b"data")
        monkeypatch.setattr(os, "fsync", no_room)
        draft.keep(KEY)
    assert (caught.value.code, caught.value.why) == ("storage.unavailable", os.strerror(errno.ENOSPC))
    assert keys(storage) == []


def no_room(_: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["half written", "not synced", "not renamed"])
def test_what_killed_processes_leave_is_swept_once_it_is_old(storage: LocalStorage, root: Path, where: str) -> None:
    storage.write(KEY, b"data")
    (root / ".keep").write_bytes(b"somebody's own")
    kill_a_writer(root, where)
    assert storage.sweep(3600, dry_run=False) == 0
    for path in files(root):
        os.utime(path, (time.time() - 3700,) * 2)
    with storage.draft() as alive:
        assert storage.sweep(3600, dry_run=True) == 1
        assert storage.sweep(3600, dry_run=False) == 1
        assert storage.sweep(3600, dry_run=False) == 0
        alive.keep("raw/default/other.pdf")
    assert {path.name for path in files(root)} == {".keep", "0b8f.pdf", "other.pdf"}
