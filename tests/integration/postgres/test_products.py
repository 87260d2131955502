"""Chunks and vectors as they are written: the same rows again and again, and nothing of an older text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4, uuid5

import numpy as np
import pytest

from docproc.model import NAMESPACE, Chunk, Chunked, Done, Embedded, Job, Parsed
from docproc.postgres.parse_calls import ParseCalls
from docproc.postgres.vectors import Vectors
from docproc.states import State
from tests.integration.bench import Bench, Row, chunks_of


def chunked(bench: Bench, chunks: Sequence[Chunk], **columns: Any) -> Job:
    """A job that has these chunks and is claimed by embed."""
    job = bench.claim(State.PARSE_VALIDATED, **columns)
    assert bench.queue().settle(job, Done(product=Chunked(chunks))) is not None
    (again,) = bench.queue().claim([State.CHUNKS_STORED], 1)
    assert again.job_id == job.job_id
    return again


def write_again(bench: Bench, job: Job, chunks: Sequence[Chunk]) -> Job:
    """Chunks the document of ``job`` anew, as after another parse."""
    bench.sql("DELETE FROM docproc.upload_jobs WHERE job_id = %s", job.job_id)
    return chunked(bench, chunks, document_id=job.document_id)


def embed(bench: Bench, job: Job, *, only: int | None = None, seed: int = 0) -> None:
    """Gives the job's chunks vectors, or the first ``only`` of them."""
    vectors = Vectors(bench.database, uuid4())
    pending = vectors.pending_chunks([job])[:only]
    numbers = np.random.default_rng(seed).random((len(pending), 4), dtype=np.float32)
    call = vectors.begin_call("embed", [job], tokens=1, inputs=len(pending))
    vectors.save_vectors(call, [job], pending, Embedded(numbers, 7, "req_1"))


def chunks(bench: Bench) -> list[Row]:
    return bench.sql("SELECT * FROM docproc.document_chunk_buffer ORDER BY document_id, chunk_ord")


def vectors(bench: Bench) -> list[Row]:
    return bench.sql(
        "SELECT c.text, v.vector::text, v.vector_sha FROM docproc.document_vector_buffer v"
        " JOIN docproc.document_chunk_buffer c USING (chunk_id) ORDER BY c.chunk_ord"
    )


def test_chunk_ids_follow_the_published_formula(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two"), chunks_version="tokens@1+max=200")
    assert [row["chunk_id"] for row in chunks(bench)] == [
        uuid5(UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42"), f"{job.document_id}:tokens:1+max=200:{n}") for n in (0, 1)
    ]
    assert UUID("6c8a1e6e-1f0b-4aa8-9f0a-1a7c2e6f2b42") == NAMESPACE
    assert [(row["chunker_name"], row["chunker_version"]) for row in chunks(bench)] == [("tokens", "1+max=200")] * 2


def test_a_chunk_is_stored_as_it_was_cut(bench: Bench) -> None:
    table = Chunk(
        0, "| a |\n|---|\n| 1 |", 3, 9, ("Part “A”", "B, {c}"), 2, 3, 11, "Part “A” › B\n\n| a |\n|---|\n| 1 |"
    )
    job = chunked(bench, [table])
    (row,) = chunks(bench)
    assert (row["text"], row["heading_path"], row["tokens"]) == (table.text, ["Part “A”", "B, {c}"], 11)
    assert (row["char_start"], row["char_end"], row["page_first"], row["page_last"]) == (3, 9, 2, 3)
    assert (row["chunk_sha"], row["embed_sha"], row["user_id"]) == (table.chunk_sha, table.embed_sha, "default")
    (pending,) = Vectors(bench.database, uuid4()).pending_chunks([job])
    assert (pending.embed_text, pending.embed_sha, pending.tokens) == (table.embed_text, table.embed_sha, 11)


def test_progress_counts_the_chunks_and_the_vectors(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two", "three"))
    counts = {"chunks_total": 3, "chunks_done": 3, "chunks_written": 3, "embeds_total": 3, "embeds_done": 0}
    assert bench.row(job.job_id)["progress"] == counts
    embed(bench, job, only=2)
    assert bench.row(job.job_id)["progress"] == counts | {"embeds_done": 2}
    embed(bench, job)
    assert bench.row(job.job_id)["progress"] == counts | {"embeds_done": 3}


def test_the_same_chunks_again_change_no_row_and_keep_their_vectors(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two"))
    embed(bench, job)
    before = bench.sql("SELECT xmin::text, * FROM docproc.document_chunk_buffer ORDER BY chunk_ord")
    write_again(bench, job, chunks_of("one", "two"))
    assert bench.sql("SELECT xmin::text, * FROM docproc.document_chunk_buffer ORDER BY chunk_ord") == before
    assert len(vectors(bench)) == 2


def test_fewer_chunks_remove_the_surplus_and_its_vectors(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two", "three"))
    embed(bench, job)
    write_again(bench, job, chunks_of("one"))
    assert [row["text"] for row in chunks(bench)] == ["one"]
    assert [row["text"] for row in vectors(bench)] == ["one"]


def test_a_changed_text_loses_its_vector_and_no_other_does(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two"))
    embed(bench, job)
    write_again(bench, job, chunks_of("one", "TWO"))
    assert [row["text"] for row in chunks(bench)] == ["one", "TWO"]
    assert [row["text"] for row in vectors(bench)] == ["one"]


def test_a_changed_heading_alone_loses_the_vector_too(bench: Bench) -> None:
    (one,) = chunks_of("one")
    job = chunked(bench, [one])
    embed(bench, job)
    write_again(bench, job, [replace(one, heading_path=("Other",), embed_text="Other\n\none")])
    assert chunks(bench)[0]["heading_path"] == ["Other"]
    assert vectors(bench) == []


def test_the_chunks_of_another_chunker_stay(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two"))
    chunked(bench, chunks_of("whole"), document_id=job.document_id, chunks_version="tokens@1")
    assert sorted(row["text"] for row in chunks(bench)) == ["one", "two", "whole"]


def test_the_same_vectors_again_change_no_row(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two"))
    pending = Vectors(bench.database, uuid4()).pending_chunks([job])
    embed(bench, job)
    before = bench.sql("SELECT xmin::text, chunk_id FROM docproc.document_vector_buffer ORDER BY chunk_id")
    store = Vectors(bench.database, uuid4())
    call = store.begin_call("embed", [job], tokens=1, inputs=2)
    same = np.random.default_rng(0).random((2, 4), dtype=np.float32)
    store.save_vectors(call, [job], pending, Embedded(same, 7, "req_2"))
    assert bench.sql("SELECT xmin::text, chunk_id FROM docproc.document_vector_buffer ORDER BY chunk_id") == before


def test_a_vector_of_a_text_that_is_no_more_is_not_written(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one"))
    store = Vectors(bench.database, uuid4())
    pending = store.pending_chunks([job])
    write_again(bench, job, chunks_of("other"))
    call = store.begin_call("embed", [job], tokens=1, inputs=1)
    store.save_vectors(call, [job], pending, Embedded(np.ones((1, 4), np.float32), 1, None))
    assert vectors(bench) == []


def test_a_vector_that_does_not_fit_its_chunks_text_counts_as_missing(bench: Bench) -> None:
    """However it came there: it must be bought anew, or the job would never become complete."""
    job = chunked(bench, chunks_of("one"))
    embed(bench, job)
    bench.sql("UPDATE docproc.document_vector_buffer SET embed_sha = 'of another text'")
    embed(bench, job)
    assert bench.queue().settle(job, Done(State.COMPLETE)) is not None
    assert bench.row(job.job_id)["status"] == State.COMPLETE


@pytest.mark.parametrize("missing", ["vector", "chunk", "everything"])
def test_a_document_with_something_missing_does_not_go_live(bench: Bench, missing: str) -> None:
    job = chunked(bench, chunks_of("one", "two"))
    embed(bench, job, only=1 if missing == "vector" else None)
    bench.sql("INSERT INTO docproc.sources (user_id, uri, document_id) VALUES ('default', '/a', %s)", job.document_id)
    if missing in ("chunk", "everything"):
        bench.sql("DELETE FROM docproc.document_chunk_buffer WHERE chunk_ord = 0 OR %s", missing == "everything")
    moved = bench.queue().settle(job, Done(State.COMPLETE))
    row = bench.row(job.job_id)
    assert moved is not None and moved.status is State.CHUNKS_STORED
    assert (row["status"], row["last_error"]["code"], row["attempt"]) == ("chunks_stored", "embed.incomplete", 1)
    assert row["run_at"] > row["now"]
    assert bench.sql("SELECT live_job_id FROM docproc.sources") == [{"live_job_id": None}]


def test_a_whole_document_goes_live_in_all_its_sources(bench: Bench) -> None:
    job = chunked(bench, chunks_of("one", "two"))
    embed(bench, job)
    for uri in ("/a", "/b"):
        bench.sql(
            "INSERT INTO docproc.sources (user_id, uri, document_id) VALUES ('default', %s, %s)", uri, job.document_id
        )
    bench.queue().settle(job, Done(State.COMPLETE))
    shown = bench.sql("SELECT source, text FROM docproc.document_search ORDER BY source, chunk_ord")
    assert [(row["source"], row["text"]) for row in shown] == [
        ("/a", "one"),
        ("/a", "two"),
        ("/b", "one"),
        ("/b", "two"),
    ]


def test_the_vectors_of_another_user_are_not_taken_over(bench: Bench) -> None:
    first = chunked(bench, chunks_of("same text"), user_id="alice")
    embed(bench, first)
    same, other = (chunked(bench, chunks_of("same text"), user_id=user) for user in ("alice", "bob"))
    store = Vectors(bench.database, uuid4())
    assert store.link_owned([same, other]) == {same.job_id: 0, other.job_id: 1}
    assert store.pending_chunks([same]) == []
    assert len(store.pending_chunks([other])) == 1


def test_vectors_that_were_taken_over_count_as_done(bench: Bench) -> None:
    embed(bench, chunked(bench, chunks_of("same text")))
    twin = chunked(bench, chunks_of("same text"))
    Vectors(bench.database, uuid4()).link_owned([twin])
    assert bench.row(twin.job_id)["progress"]["embeds_done"] == 1


def test_the_result_of_a_parse_closes_its_call_in_the_ledger(bench: Bench) -> None:
    job = bench.claim(State.PARSE_QUEUED)
    calls = ParseCalls(bench.database, uuid4())
    call = calls.parse_call(job, "llamaparse:fast:1")
    assert calls.begin_submit(call, job)
    calls.submitted(call, "pjb-1")
    product = Parsed(
        "storage://parsed/default/a.md", progress={"pages_total": 4}, call_id=call.parse_call_id, credits=12
    )
    bench.queue().settle(job, Done(product=product))
    (seen,) = bench.sql(
        "SELECT p.state, p.pages, p.credits, a.outcome, a.units_reported FROM docproc.parse_calls p"
        " JOIN docproc.api_calls a USING (call_id)"
    )
    assert tuple(seen.values()) == ("collected", 4, 12, "ok", 4)


def test_of_two_that_read_the_same_intent_one_submits(bench: Bench) -> None:
    job = bench.claim(State.UPLOADED)
    calls = ParseCalls(bench.database, uuid4())
    first, second = (calls.parse_call(job, "llamaparse:fast:1") for _ in range(2))
    assert first.client_ref == second.client_ref
    assert [calls.begin_submit(first, job), calls.begin_submit(second, job)] == [True, False]
    assert calls.parse_call(job, "llamaparse:fast:1").submits == 1
    assert bench.count("api_calls") == 1
