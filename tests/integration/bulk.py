"""Many complete documents at once, written past the pipeline: what search and its index are tried on."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from docproc.model import NAMESPACE, embed_version, sha256

MODEL = "text-embedding-3-small"
Vectors = NDArray[np.float32]


def clustered(count: int, dimensions: int, *, seed: int = 0, clusters: int = 100) -> Vectors:
    """Vectors of shape (count, dimensions) in ``clusters`` heaps, as texts on some themes have."""
    centres = np.random.default_rng(99).normal(size=(clusters, dimensions))
    draw = np.random.default_rng(seed)
    heaps = centres[draw.integers(0, clusters, count)]
    return (heaps + draw.normal(size=(count, dimensions)) * 0.7).astype(np.float32)


def fill(
    conninfo: str,
    vectors: Vectors,
    *,
    texts: Sequence[str] = (),
    user: str = "default",
    per_document: int = 50,
    folder: str = "/in",
) -> None:
    """A chunk with its vector for each of ``vectors``, in complete documents of one source each."""
    version = embed_version(vectors.shape[1])
    with psycopg.connect(conninfo) as conn:
        register_vector(conn)
        conn.execute(
            "INSERT INTO docproc.serving (user_id, embed_model, embed_version) VALUES (%s, %s, %s)"
            " ON CONFLICT (user_id) DO UPDATE SET embed_version = excluded.embed_version",
            (user, MODEL, version),
        )
        for at in range(0, len(vectors), per_document):
            document, job = uuid4(), uuid4()
            uri = f"{folder}/{at // per_document}.pdf"
            conn.execute(
                "INSERT INTO docproc.upload_jobs (job_id, document_id, user_id, status, source, extension, raw_path,"
                " raw_sha, raw_bytes, chunks_version, embed_model, embed_version) VALUES (%s, %s, %s, 'complete', %s,"
                " '.pdf', 'x', 'x', 1, 'markdown-simple@1', %s, %s)",
                (job, document, user, uri, MODEL, version),
            )
            conn.execute(
                "INSERT INTO docproc.sources (user_id, uri, document_id, live_job_id) VALUES (%s, %s, %s, %s)",
                (user, uri, document, job),
            )
            conn.cursor().executemany(
                "INSERT INTO docproc.document_chunk_buffer (chunk_id, document_id, user_id, chunk_ord, chunker_name,"
                " chunker_version, chunk_sha, embed_sha, text, embed_prefix, heading_path, page_first, page_last,"
                " char_start, char_end, tokens) VALUES (%(id)s, %(document)s, %(user)s, %(ord)s, 'markdown-simple',"
                " '1', %(sha)s, %(sha)s, %(text)s, '', '{}', 1, 1, 0, 1, 1)",
                [
                    {
                        "id": (chunk := uuid4()),
                        "document": document,
                        "user": user,
                        "ord": n,
                        "sha": sha256(chunk.bytes + NAMESPACE.bytes),
                        "text": texts[at + n] if texts else f"chunk {at + n}",
                    }
                    for n in range(min(per_document, len(vectors) - at))
                ],
            )
        _write_vectors(conn, vectors, user, version)
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")


def _write_vectors(conn: psycopg.Connection, vectors: Vectors, user: str, version: str) -> None:
    rows = conn.execute(
        "SELECT c.chunk_id, c.document_id, c.embed_sha FROM docproc.document_chunk_buffer c"
        " LEFT JOIN docproc.document_vector_buffer v USING (chunk_id) JOIN docproc.upload_jobs j"
        " ON j.document_id = c.document_id WHERE v.chunk_id IS NULL ORDER BY length(j.source), j.source, c.chunk_ord"
    ).fetchall()
    with conn.cursor().copy(
        "COPY docproc.document_vector_buffer (chunk_id, document_id, user_id, embed_model, embed_version, embed_sha,"
        " vector, vector_sha) FROM STDIN (FORMAT binary)"
    ) as copy:
        copy.set_types(["uuid", "uuid", "text", "text", "text", "text", "vector", "text"])
        for (chunk, document, sha), vector in zip(rows, vectors, strict=True):
            copy.write_row((chunk, document, user, MODEL, version, sha, vector, sha))
