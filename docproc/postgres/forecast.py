"""What a forecast asks of the database; none of it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any
from uuid import UUID

from docproc.model import Job, Source, document_id
from docproc.postgres.catalogue import begins, target_values
from docproc.postgres.database import Database
from docproc.states import State
from docproc.store import Target

PAGE = 500
"""Open jobs read at a time."""

_JOB = {field.name for field in fields(Job)}


class Foreseen:
    """Files, jobs and texts, as far as they are known already."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def files(self, target: Target, sources: Sequence[Source], *, parser: str) -> list[dict[str, Any]]:
        """A row for each of ``sources``: the ``outcome`` of its ingest, whether it ``has_job``, where one would begin.

        ``begins`` is the first state of a new job, ``parsed_path``, ``parsed_sha`` and ``progress`` what it takes over
        from another job of the document, ``parse_state`` how far the paid parse with ``parser`` is.
        """
        values = {
            "uris": [source.uri for source in sources],
            "document_ids": [document_id(target.user, source.sha) for source in sources],
            **target_values(target),
            "parser": parser,
            **begins(),
        }
        return self._db.rows("foreseen_files", values)

    def shown_elsewhere(self, target: Target) -> list[Source]:
        """Documents that are shown with another model and have no job with ``target``, each by a path of it."""
        rows = self._db.rows("shown_elsewhere", target_values(target))
        return [Source(row["uri"], row["extension"], row["raw_sha"], row["raw_bytes"]) for row in rows]

    def waiting(
        self, states: Sequence[State], *, parser: str, only: str | None = None
    ) -> Iterator[tuple[Job, dict[str, Any]]]:
        """Every open job in ``states``, those of the user ``only`` if given, with the ``parse_state`` of its parse."""
        after: UUID | None = None
        values = {"states": [str(state) for state in states], "parser": parser, "only": only, "limit": PAGE}
        while rows := self._db.rows("foreseen_jobs", values | {"after": after}):
            for row in rows:
                job = {name: value for name, value in row.items() if name in _JOB}
                yield Job(**job | {"status": State(row["status"])}), row
            after = rows[-1]["job_id"]

    def texts(self, job: Job) -> list[tuple[str, int]]:
        """Hash and tokens of the embedded strings of a job whose chunks are stored."""
        values = {"document_id": job.document_id, "chunks_version": job.chunks_version}
        return [(row["embed_sha"], row["tokens"]) for row in self._db.rows("foreseen_texts", values)]

    def owned(self, kind: tuple[str, str, str], shas: Sequence[str]) -> set[str]:
        """Those of ``shas`` of which ``kind`` (user, model and version) has a vector."""
        values = dict(zip(("user", "model", "version"), kind, strict=True)) | {"embed_shas": list(shas)}
        return {row["embed_sha"] for row in self._db.rows("foreseen_owned", values)}
