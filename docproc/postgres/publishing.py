"""What readers see: a document is shown in the transaction that completes its job, after proof that it is whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.errors import TransientError
from docproc.model import Outcome, Retry
from docproc.postgres.database import query

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


class RefusedError(Exception):
    """The store does not take what a stage called done; ``instead`` has the outcomes that the jobs are to get."""

    def __init__(self, instead: Mapping[UUID, Outcome]) -> None:
        super().__init__(f"{len(instead)} jobs")
        self.instead = instead


def go_live(conn: Conn, job_ids: Sequence[UUID]) -> None:
    """Shows the documents of ``job_ids`` to readers: each has chunks, each chunk its vector, and no ordinal is missing.

    Raises RefusedError when it is not so: the transaction is rolled back and those jobs try again.
    """
    broken = conn.execute(query("completeness"), {"job_ids": list(job_ids)}).fetchall()
    if broken:
        raise RefusedError({row["job_id"]: Retry(_incomplete(row)) for row in broken})
    conn.execute(query("begin_serving"), {"job_ids": list(job_ids)})
    conn.execute(query("go_live"), {"job_ids": list(job_ids)})


def _incomplete(row: Mapping[str, object]) -> TransientError:
    seen = f"{row['vectors']} vectors for {row['chunks']} chunks with {row['ords']} ordinals"
    return TransientError("embed.incomplete", "the document is not complete", why=seen)
