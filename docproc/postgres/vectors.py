"""Chunks that need vectors, and the vectors."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from docproc import faultpoints
from docproc.model import Embedded, Job, PendingChunk, sha256
from docproc.postgres.database import Database, query

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from docproc.postgres.database import Conn


class Vectors:
    """The chunks and vectors of the jobs that embed."""

    def __init__(self, database: Database, run_id: UUID) -> None:
        self._db = database
        self._run_id = run_id

    def link_owned(self, jobs: Sequence[Job]) -> dict[UUID, int]:
        """Gives chunks of ``jobs`` the vectors that the user owns already for the same text, model and version.

        Returns how many chunks of each job are without a vector then.
        """

        def write(conn: Conn) -> dict[UUID, int]:
            conn.execute(query("link_owned"), _ids(jobs))
            return {row["job_id"]: row["missing"] for row in conn.execute(query("count_embeds"), _ids(jobs))}

        return self._db.attempt(write)

    def pending_chunks(
        self, jobs: Sequence[Job], *, after: PendingChunk | None = None, limit: int = 10_000
    ) -> list[PendingChunk]:
        """Up to ``limit`` chunks of ``jobs`` that have no vector, in order of job and chunk, from ``after`` on."""
        last = {"after_job": after.job_id if after else None, "after_ord": after.chunk_ord if after else None}
        return [PendingChunk(**row) for row in self._db.rows("pending_chunks", {**_ids(jobs), **last, "limit": limit})]

    def owned(self, job: Job, chunks: Sequence[PendingChunk]) -> set[UUID]:
        """Those of ``chunks`` whose text has a vector of the job's model and version already."""
        values = {
            "chunk_ids": [chunk.chunk_id for chunk in chunks],
            "users": [chunk.user_id for chunk in chunks],
            "embed_shas": [chunk.embed_sha for chunk in chunks],
            "model": job.embed_model,
            "version": job.embed_version,
        }
        return {row["chunk_id"] for row in self._db.rows("owned", values)}

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
            conn.execute(query("write_vectors"), {**version, **_ids(jobs)})
            conn.execute(query("end_call"), _closing(call_id, "ok", answer))

        self._db.attempt(write)

    def end_call(self, call_id: UUID, outcome: str, answer: Embedded | None = None) -> None:
        """Closes a ledger row whose request brought nothing to store."""
        self._db.run("end_call", _closing(call_id, outcome, answer))


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
