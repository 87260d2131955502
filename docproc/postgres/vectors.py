"""Chunks that need vectors, the vectors, and the search over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from docproc import faultpoints
from docproc.model import Embedded, Hit, Job, PendingChunk, sha256
from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from docproc.postgres.database import Conn, Row


class Vectors:
    """The chunks and vectors of the jobs that embed."""

    def __init__(self, database: Database, run_id: UUID) -> None:
        self._db = database
        self._run_id = run_id

    def link_owned(self, jobs: Sequence[Job]) -> int:
        """Gives chunks of ``jobs`` the vectors that the user owns already for the same text, model and version."""

        def write(conn: Conn) -> int:
            linked = conn.execute(query("link_owned"), _ids(jobs)).rowcount
            conn.execute(query("count_embeds"), _ids(jobs))
            return linked

        return self._db.attempt(write)

    def pending_chunks(self, jobs: Sequence[Job]) -> list[PendingChunk]:
        """The chunks of ``jobs`` that have no vector, in order of job and chunk."""
        return [PendingChunk(**row) for row in self._db.rows("pending_chunks", _ids(jobs))]

    def begin_call(self, operation: str, jobs: Sequence[Job], *, tokens: int, inputs: int) -> UUID:
        """Opens the ledger row of one request to the embedder; returns its id."""
        call_id = uuid4()
        values = {
            "call_id": call_id,
            "run_id": self._run_id,
            "provider": "openai",
            "operation": operation,
            "job_ids": [job.job_id for job in jobs],
            "unit": "token",
            "units_estimated": tokens,
            "inputs": inputs,
        }
        self._db.run("begin_call", values)
        return call_id

    def save_vectors(
        self, call_id: UUID, jobs: Sequence[Job], chunks: Sequence[PendingChunk], answer: Embedded
    ) -> None:
        """Writes the vectors of one response and closes its ledger row, in one transaction.

        ``answer.vectors`` has one row for each of ``chunks``, in their order.
        """
        version = {"model": jobs[0].embed_model, "version": jobs[0].embed_version}

        def write(conn: Conn) -> None:
            self._db.know_vectors(conn)
            conn.execute(query("incoming_vectors"))
            _copy(conn, zip(chunks, answer.vectors, strict=True))
            conn.execute(query("write_vectors"), version)
            conn.execute(query("count_embeds"), _ids(jobs))
            conn.execute(query("end_call"), _closing(call_id, "ok", answer))

        self._db.attempt(write)

    def end_call(self, call_id: UUID, outcome: str, answer: Embedded | None = None) -> None:
        """Closes a ledger row whose request brought nothing to store."""
        self._db.run("end_call", _closing(call_id, outcome, answer))

    def search(
        self, vector: NDArray[np.float32], *, user: str, model: str, version: str, limit: int, source: str | None = None
    ) -> list[Hit]:
        """The nearest chunks of live, complete documents by cosine, best first; ``source`` is a LIKE pattern."""
        values = {"query": vector, "user": user, "model": model, "version": version, "limit": limit, "source": source}

        def look(conn: Conn) -> list[Row]:
            self._db.know_vectors(conn)
            return conn.execute(query("search"), values).fetchall()

        rows = self._db.attempt(look)
        return [Hit(**{**row, "heading_path": tuple(row["heading_path"])}) for row in rows]


def _copy(conn: Conn, pairs: Iterable[tuple[PendingChunk, NDArray[np.float32]]]) -> None:
    with conn.cursor().copy(query("copy_vectors")) as copy:
        copy.set_types(["uuid", "text", "vector", "text"])
        for n, (chunk, vector) in enumerate(pairs):
            if n == 1:
                faultpoints.reach("embed.mid_copy")
            copy.write_row((chunk.chunk_id, chunk.embed_sha, vector, sha256(vector.tobytes())))


def _closing(call_id: UUID, outcome: str, answer: Embedded | None) -> dict[str, object]:
    tokens, request_id = (answer.tokens, answer.request_id) if answer else (None, None)
    return {"call_id": call_id, "outcome": outcome, "units_reported": tokens, "request_id": request_id}


def _ids(jobs: Sequence[Job]) -> dict[str, object]:
    return {"job_ids": [job.job_id for job in jobs]}
