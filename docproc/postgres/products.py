"""The products of the stages, written inside the transaction that moves the job."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from psycopg.types.json import Jsonb

from docproc.model import Chunk, Chunks, Job, Parsed, chunk_id
from docproc.postgres.database import query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


MOST_AT_ONCE = 1_000
"""Chunks sent in one statement: a long document is never in memory as a whole, neither here nor in the server."""


def write_parsed(conn: Conn, parsed: Parsed) -> None:
    """Closes the call that brought the parse; the paths and hashes are in the job's own row."""
    if parsed.call_id is not None:
        values = {"parse_call_id": parsed.call_id, "pages": parsed.progress["pages_total"], "credits": parsed.credits}
        conn.execute(query("collected"), values)


def write_chunks(conn: Conn, job: Job, chunks: Chunks) -> None:
    """Makes ``chunks`` the document's chunks under the job's chunker; vectors of texts that changed go with them."""
    name, version = job.chunker
    document = {"document_id": job.document_id, "user": job.user_id, "chunker_name": name, "chunker_version": version}
    conn.execute(query("drop_surplus_chunks"), {**document, "count": len(chunks)})
    left = iter(chunks)
    while some := tuple(islice(left, MOST_AT_ONCE)):
        values = document | _columns(some) | {"chunk_ids": [_id(job, chunk) for chunk in some]}
        conn.execute(query("drop_stale_vectors"), values)
        conn.execute(query("write_chunks"), values)


def _id(job: Job, chunk: Chunk) -> UUID:
    return chunk_id(job.document_id, *job.chunker, chunk.ord)


def _columns(chunks: Sequence[Chunk]) -> dict[str, Any]:
    return {
        "ords": [c.ord for c in chunks],
        "chunk_shas": [c.chunk_sha for c in chunks],
        "embed_shas": [c.embed_sha for c in chunks],
        "texts": [c.text for c in chunks],
        "embed_prefixes": [c.embed_text.removesuffix(c.text) for c in chunks],
        "heading_paths": [Jsonb(list(c.heading_path)) for c in chunks],
        "pages_first": [c.page_first for c in chunks],
        "pages_last": [c.page_last for c in chunks],
        "chars_start": [c.start for c in chunks],
        "chars_end": [c.end for c in chunks],
        "tokens": [c.tokens for c in chunks],
    }
