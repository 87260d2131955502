"""A parse as it is stored: written by blocks or by pages, read back the same, and known to be whole or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from docproc import text as texts
from docproc.errors import PermanentError
from docproc.model import Job, Page, ParseResult
from docproc.parsers.local import VERSION
from docproc.stages.stored import (
    dump_pages,
    is_whole,
    load_document,
    load_pages,
    open_text,
    restore_text,
    stored,
    write_pages,
    write_text,
)
from docproc.states import State
from docproc.storage import key, pages_uri, parsed_uri
from docproc.storage.local import LocalStorage

DOCUMENT = uuid4()
URI = parsed_uri("default", DOCUMENT)
RESULT = ParseResult(
    (Page(1, "# Tide\n"), Page(2, "undefined"), Page(3, "", "too dark"), Page(4, "High\x00 \U0001f600", None, 0.5)),
    "2026-09-28",
    12.0,
    pages_in_file=4,
)


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


def job(path: str | None = URI) -> Job:
    rest: dict[str, Any] = dict.fromkeys(("source", "extension", "raw_path", "raw_sha", "embed_model"), "")
    rest |= {"raw_bytes": 1, "parsed_sha": None, "chunks_version": "", "embed_version": "", "attempt": 1, "fence": 1}
    names = set(Job.__dataclass_fields__) - {"job_id", "document_id", "user_id", "status", "parsed_path", "progress"}
    known = {name: value for name, value in rest.items() if name in names}
    return Job(
        job_id=uuid4(),
        document_id=DOCUMENT,
        user_id="default",
        status=State.PARSED,
        parsed_path=path,
        progress={},
        **known,
    )


def opened(storage: LocalStorage) -> tuple[str, list[tuple[int, int, int]]]:
    file, spans = open_text(storage, job())
    with file:
        return file.read().decode(), [(span.number, span.start, span.end) for span in spans]


def test_pages_are_read_as_they_came_and_their_text_without_what_says_nothing(storage: LocalStorage) -> None:
    assert write_pages(storage, URI, RESULT) == 1
    assert stored(storage, URI).result == RESULT
    assert is_whole(storage, URI)
    pages, parsed = load_document(storage, job())
    assert [page.markdown for page in pages] == ["# Tide\n", "", "", "High\x00 \U0001f600"]
    assert opened(storage) == (parsed.text, [(span.number, span.start, span.end) for span in parsed.pages])


@given(st.lists(st.text(), max_size=5))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_text_of_blocks_is_stored_as_the_same_text_of_one_page(storage: LocalStorage, blocks: list[str]) -> None:
    whole, removed = texts.document([Page(1, "".join(blocks))])
    assert write_text(storage, URI, blocks, VERSION) == removed
    assert is_whole(storage, URI)
    pages, parsed = load_document(storage, job())
    assert (pages, parsed) == ((Page(1, whole.text),), whole)
    assert opened(storage) == (whole.text, [(1, 0, len(whole.text))])
    plain = stored(storage, URI).plain
    assert plain is not None
    assert (plain.sha, plain.characters) == (texts.fingerprint(whole), len(whole.text))


def test_the_text_is_not_kept_twice(storage: LocalStorage) -> None:
    write_text(storage, URI, ["harbour " * 10_000], VERSION)
    assert len(storage.read(key(pages_uri(URI)))) < 1000


def test_a_text_of_another_parse_is_known_and_restored(storage: LocalStorage) -> None:
    write_pages(storage, URI, RESULT)
    text = storage.read(key(URI))
    storage.write(key(pages_uri(URI)), dump_pages(ParseResult((Page(1, "newer"),), "2026-10-01")))
    assert not is_whole(storage, URI)
    storage.write(key(pages_uri(URI)), dump_pages(RESULT))
    storage.delete(key(URI))
    assert not is_whole(storage, URI)
    restore_text(storage, URI, load_document(storage, job())[1])
    assert is_whole(storage, URI)
    assert storage.read(key(URI)) == text


def test_nothing_is_known_of_a_parse_that_is_not_there(storage: LocalStorage) -> None:
    assert not is_whole(storage, URI)
    for path in (URI, None):
        with pytest.raises(PermanentError) as caught:
            load_document(storage, job(path))
        assert caught.value.code == "storage.missing"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"pages": [{"number": 1}]}', b'{"pages": 3}', b"\xff"])
def test_page_data_that_are_none_are_corrupt(data: bytes) -> None:
    with pytest.raises(PermanentError) as caught:
        load_pages(data)
    assert caught.value.code == "storage.corrupt"
