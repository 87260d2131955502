"""The products of the stages, written inside the transaction that moves the job."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from psycopg.types.json import Jsonb

from docproc.errors import TransientError
from docproc.model import Chunk, Job, Parsed, chunk_id
from docproc.postgres.database import query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


def write_parsed(conn: Conn, parsed: Parsed) -> None:
    """Closes the call that brought the parse; the paths and hashes are in the job's own row."""
    if parsed.call_id is not None:
        values = {"parse_call_id": parsed.call_id, "pages": parsed.progress["pages_total"], "credits": parsed.credits}
        conn.execute(query("collected"), values)


def write_chunks(conn: Conn, job: Job, chunks: Sequence[Chunk]) -> None:
    """Makes ``chunks`` the document's chunks under the job's chunker; vectors of texts that changed go with them."""
    name, version = job.chunker
    ids = [chunk_id(job.document_id, name, version, c.ord) for c in chunks]
    values = {
        "document_id": job.document_id,
        "user": job.user_id,
        "chunker_name": name,
        "chunker_version": version,
        "count": len(chunks),
        "chunk_ids": ids,
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
    conn.execute(query("drop_surplus_chunks"), values)
    conn.execute(query("drop_stale_vectors"), values)
    conn.execute(query("write_chunks"), values)


def go_live(conn: Conn, job: Job) -> None:
    """Shows the document to readers, after proving that it has chunks, each its vector, and that no ordinal is missing.

    Raises TransientError when it is not so: the transaction is rolled back and the job tries again.
    """
    seen = conn.execute(query("completeness"), {"job_id": job.job_id}).fetchone()
    assert seen is not None
    if not 0 < seen["chunks"] == seen["vectors"] == seen["ords"]:
        raise TransientError(
            "embed.incomplete",
            "the document is not complete",
            why=f"{seen['vectors']} vectors for {seen['chunks']} chunks with {seen['ords']} ordinals",
        )
    conn.execute(query("go_live"), {"job_id": job.job_id, "user": job.user_id, "document_id": job.document_id})
