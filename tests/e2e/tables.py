"""What the end-to-end tests look at in the database, past docproc's own eyes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Tables:
    """docproc's tables in the database at ``conninfo``."""

    conninfo: str

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a statement returns."""
        with psycopg.connect(self.conninfo) as conn:
            return conn.execute(statement.encode(), values).fetchall()

    def number(self, statement: str, *values: object) -> int:
        """The one number that a statement returns."""
        return int(self.rows(statement, *values)[0][0])

    def change(self, statement: str, *values: object) -> int:
        """Runs a statement; the number of rows it changed."""
        with psycopg.connect(self.conninfo) as conn:
            return conn.execute(statement.encode(), values).rowcount

    def states(self) -> dict[str, str]:
        """The state of each job by its file's name."""
        return {
            PurePath(uri).name: status for uri, status in self.rows("SELECT source, status FROM docproc.upload_jobs")
        }

    def codes(self) -> dict[str, str | None]:
        """The error code of each job by its file's name."""
        found = self.rows("SELECT source, last_error ->> 'code' FROM docproc.upload_jobs")
        return {PurePath(uri).name: code for uri, code in found}

    def leases(self) -> int:
        """Jobs that somebody holds."""
        return self.number("SELECT count(*) FROM docproc.upload_jobs WHERE claimed_by IS NOT NULL")

    def open_calls(self, operation: str) -> int:
        """Inputs of the requests that were begun and whose answer was not kept."""
        return self.number(
            "SELECT coalesce(sum(inputs), 0) FROM docproc.api_calls WHERE outcome = 'open' AND operation = %s",
            operation,
        )

    def distinct_texts(self) -> int:
        """Embedded strings, each counted once: what has to be bought."""
        return self.number("SELECT count(DISTINCT embed_sha) FROM docproc.document_chunk_buffer")

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table with the transaction that wrote it: equal dumps mean that nothing was written."""
        names = [name for (name,) in self.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'docproc'")]
        return {
            name: self.rows(f"SELECT xmin::text, md5(t::text) FROM docproc.{name} t ORDER BY 1, 2") for name in names
        }

    def assert_whole(self, documents: int) -> None:
        """Fails unless ``documents`` jobs are complete, each with its chunks and vectors once, and none is held."""
        jobs = self.rows(
            "SELECT j.source, j.status, (j.progress ->> 'chunks_total')::int, count(c.chunk_id), count(v.chunk_id),"
            "       count(DISTINCT c.chunk_ord),"
            "       (SELECT count(*) FROM docproc.sources s WHERE s.live_job_id = j.job_id)"
            "  FROM docproc.upload_jobs j LEFT JOIN docproc.document_chunk_buffer c USING (document_id)"
            "  LEFT JOIN docproc.document_vector_buffer v USING (chunk_id) GROUP BY j.job_id"
        )
        assert len(jobs) == documents
        for source, status, total, chunks, vectors, ords, sources in jobs:
            assert status == "complete", source
            assert total == chunks == vectors == ords > 0, source
            assert sources == 1, source
        assert self.leases() == 0
