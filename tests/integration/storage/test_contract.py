"""Holds every storage to the same promises: a folder, Supabase Storage, S3."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import docproc
from docproc.config import load
from docproc.errors import DocprocError, PermanentError
from docproc.storage import BLOCK, Storage, open_storage, sha256_of
from tests.integration.storage.conftest import Kept

DOCUMENT = "raw/default/0b8f6c1e.pdf"
ROOT = Path(docproc.__file__).parent.parent

ROUND = [b"", b"data", bytes(range(256)) * 5000]


def keys(storage: Storage, prefix: str = "") -> list[str]:
    return [found.key for found in storage.objects(prefix)]


# ── bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("data", ROUND, ids=["empty", "small", "large"])
def test_bytes_are_read_as_they_were_written(storage: Storage, data: bytes) -> None:
    storage.write(DOCUMENT, data)
    assert storage.read(DOCUMENT) == data


@pytest.mark.parametrize("data", ROUND, ids=["empty", "small", "large"])
def test_an_object_that_came_by_blocks_is_opened_as_a_file_at_its_beginning(storage: Storage, data: bytes) -> None:
    with storage.draft() as draft:
        for start in range(0, len(data), 1000):
            draft.write(data[start : start + 1000])
        draft.keep(DOCUMENT)
    with storage.open(DOCUMENT) as file:
        assert file.fileno() >= 0
        assert (file.tell(), file.read()) == (0, data)


def test_an_object_of_many_parts_comes_back_whole(storage: Storage) -> None:
    block = os.urandom(BLOCK)
    digest = hashlib.sha256()
    with storage.draft() as draft:
        for number in range(12):
            digest.update(block[number:])
            draft.write(block[number:])
        draft.keep(DOCUMENT)
    with storage.open(DOCUMENT) as file:
        assert sha256_of(file) == digest.hexdigest()
    assert [found.size for found in storage.objects("")] == [12 * BLOCK - sum(range(12))]


def test_a_write_replaces_what_was_there(storage: Storage) -> None:
    storage.write(DOCUMENT, b"a longer first version")
    storage.write(DOCUMENT, b"second")
    assert storage.read(DOCUMENT) == b"second"
    with storage.draft() as draft:
        draft.write(b"third")
        draft.keep(DOCUMENT)
    assert storage.read(DOCUMENT) == b"third"


def test_a_reader_sees_the_old_object_or_the_new_and_never_a_part(storage: Storage) -> None:
    versions = [bytes([letter]) * (2 * BLOCK) for letter in b"ab"]
    storage.write(DOCUMENT, versions[0])
    over = threading.Event()
    seen: set[bytes] = set()

    def read() -> None:
        while not over.is_set():
            seen.add(storage.read(DOCUMENT))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 6):
            storage.write(DOCUMENT, versions[number % 2])
    finally:
        over.set()
        reader.join()
    assert seen
    assert seen <= set(versions)


def test_a_draft_that_is_not_kept_leaves_nothing(storage: Storage) -> None:
    with storage.draft() as draft:
        draft.write(b"data")
    assert keys(storage) == []
    assert not storage.exists(DOCUMENT)


# ── what is missing, and what is no key ───────────────────────────────────────────────────────────────────────────────


def test_what_is_missing_is_told_apart_from_trouble(storage: Storage) -> None:
    for read in (storage.read, storage.open):
        with pytest.raises(PermanentError) as caught:
            read(DOCUMENT)
        assert caught.value.code == "storage.missing"
        assert caught.value.__cause__ is None
    assert not storage.exists(DOCUMENT)
    assert storage.age(DOCUMENT) == 0
    storage.delete(DOCUMENT)


@pytest.mark.parametrize("key", ["", "/", "raw//a", "raw/../a", "../a", "raw/.hidden", "raw/a/", "/raw/a"])
def test_what_is_no_key_is_refused_before_anything_is_done(storage: Storage, key: str) -> None:
    for refused in (
        lambda: storage.write(key, b"data"),
        lambda: storage.write_all([(DOCUMENT, b"data"), (key, b"data")]),
        lambda: storage.read(key),
        lambda: storage.exists(key),
        lambda: storage.delete(key),
        lambda: storage.age(key),
    ):
        with pytest.raises(ValueError, match="not a storage key"):
            refused()
    assert keys(storage) == []


def test_a_user_who_is_a_mail_address_has_keys(storage: Storage) -> None:
    storage.write("raw/ada@example.com/0b8f.pdf", b"data")
    assert storage.read("raw/ada@example.com/0b8f.pdf") == b"data"
    assert keys(storage, "raw/ada@example.com/") == ["raw/ada@example.com/0b8f.pdf"]


# ── several together ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("count", [0, 1, 20])
def test_objects_that_are_written_together_are_all_there(storage: Storage, count: int) -> None:
    objects = [(f"parsed/default/{number}.json", b"x" * number) for number in range(count)]
    assert storage.write_all(objects) == [None] * count
    assert [storage.read(key) for key, _ in objects] == [data for _, data in objects]


# ── listing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

KEPT = ["parsed/ada/1.json", "parsed/ada/1.md", "raw/ada/1.pdf", "raw/adam/3.md", "raw/bob/2.txt"]


@pytest.mark.parametrize("prefix", ["", "raw/", "raw/ada", "raw/ada/", "raw/ada/1", "raw/ada/1.pdf", "x/", "p"])
def test_a_listing_has_the_keys_that_begin_with_the_prefix(storage: Storage, prefix: str) -> None:
    storage.write_all([(key, b"data") for key in KEPT])
    assert keys(storage, prefix) == [key for key in KEPT if key.startswith(prefix)]


def test_a_listing_tells_size_and_age(storage: Storage) -> None:
    before = time.time()
    storage.write(DOCUMENT, b"four")
    (found,) = storage.objects("raw/")
    assert (found.key, found.size) == (DOCUMENT, 4)
    # A server's clock may tell whole seconds only.
    assert 0 <= found.age <= time.time() - before + 2
    assert 0 <= storage.age(DOCUMENT) <= time.time() - before + 2


def test_the_age_of_an_object_grows_and_begins_anew_when_it_is_replaced(storage: Storage) -> None:
    storage.write(DOCUMENT, b"data")
    deadline = time.monotonic() + 20
    while next(storage.objects("raw/")).age < 2.1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert storage.age(DOCUMENT) >= 1
    storage.write(DOCUMENT, b"data")
    assert next(storage.objects("raw/")).age < 2.1


def test_a_listing_goes_beyond_a_thousand_and_its_objects_may_be_deleted_meanwhile(storage: Storage) -> None:
    many = [f"raw/ada/{number:05}.md" for number in range(1003)]
    assert storage.write_all([(key, b"") for key in many]) == [None] * len(many)
    assert keys(storage, "raw/ada/") == many
    for number, found in enumerate(storage.objects("raw/")):
        if number % 100 == 0:
            storage.delete(found.key)
    assert keys(storage, "raw/") == [key for number, key in enumerate(many) if number % 100]


# ── removing ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_deleted_object_is_gone(storage: Storage) -> None:
    storage.write_all([(key, b"data") for key in KEPT])
    storage.delete("raw/ada/1.pdf")
    assert keys(storage) == [key for key in KEPT if key != "raw/ada/1.pdf"]


def test_a_purge_takes_one_user_and_no_other(storage: Storage) -> None:
    storage.write_all([(key, b"data") for key in KEPT])
    storage.purge("ada")
    assert keys(storage) == ["raw/adam/3.md", "raw/bob/2.txt"]
    storage.purge("ada")


def test_a_sweep_takes_no_object(storage: Storage) -> None:
    storage.write(DOCUMENT, b"data")
    assert storage.sweep(0.0, dry_run=False) == 0
    assert keys(storage) == [DOCUMENT]


# ── where it is ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_check_says_where_this_is(kept: Kept) -> None:
    said = kept.storage.check()
    named = kept.environ.get("DOCPROC_STORAGE_BUCKET", kept.environ["DOCPROC_HOME"])
    assert named in said
    assert "PUBLIC" not in said


def test_two_storages_of_one_place_see_the_same(kept: Kept) -> None:
    kept.storage.write(DOCUMENT, b"data")
    assert open_storage(load(environ=kept.environ)).read(DOCUMENT) == b"data"


def test_a_bucket_that_is_not_there_is_no_missing_object(kept: Kept) -> None:
    if kept.backend == "local":
        pytest.skip("a folder is made when it is needed")
    elsewhere = open_storage(load(environ={**kept.environ, "DOCPROC_STORAGE_BUCKET": "nowhere"}))
    for ask in (
        elsewhere.check,
        lambda: elsewhere.read(DOCUMENT),
        lambda: elsewhere.exists(DOCUMENT),
        lambda: elsewhere.write(DOCUMENT, b"data"),
        lambda: elsewhere.delete(DOCUMENT),
    ):
        with pytest.raises(DocprocError) as caught:
            ask()
        assert (caught.value.code, caught.value.exit_code) == ("config.invalid", 2)
        assert "nowhere" in caught.value.what


# ── memory ────────────────────────────────────────────────────────────────────────────────────────────────────────────

STREAMS = """
import re, sys
from pathlib import Path
from docproc.config import load
from docproc.storage import BLOCK, open_storage

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024

def carry(blocks):
    with storage.draft() as draft:
        for _ in range(blocks):
            draft.write(bytes(BLOCK))
        draft.keep("raw/default/1.pdf")
    size = 0
    with storage.open("raw/default/1.pdf") as file:
        while block := file.read(BLOCK):
            size += len(block)
    return size

storage = open_storage(load())
carry(6)
before = peak()
print(carry(int(sys.argv[1])), peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from Linux")
def test_a_large_object_is_never_in_memory_as_a_whole(kept: Kept, tmp_path: Path) -> None:
    blocks = 50
    ran = subprocess.run(
        [sys.executable, "-c", STREAMS, str(blocks)],
        env={**os.environ, **kept.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    size, grown = map(int, ran.stdout.split())
    assert size == blocks * BLOCK
    assert grown < 20 * BLOCK
