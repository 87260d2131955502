"""What the integration tests order: jobs in any state, documents with text of their own, one drain of some stages."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from docproc.model import Chunk, Job
from docproc.postgres.database import Database
from docproc.postgres.queue import Queue
from docproc.runner import Runner, Tally
from docproc.settings import RunnerSettings
from docproc.stages.ingest import ingest
from docproc.states import FAILED, Command, State, failable_into
from docproc.store import Ingested

if TYPE_CHECKING:
    from docproc.app import App
    from tests.support import Mocks

Row = dict[str, Any]

PATIENCE = 30.0
"""Seconds after which a drain that does not end is stopped, for the test to fail."""

PARSED = [(None, "uploaded"), ("uploaded", "parse_queued"), ("parse_queued", "parsed")]
"""The history of a document that was parsed without any trouble."""

RUNNER = RunnerSettings(backoff_base=100.0, backoff_cap=1000.0)
"""Waits long enough to be told from no wait at all."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The test's database, seen by rows."""

    database: Database

    def sql(self, statement: str, *values: object) -> list[Row]:
        """Runs one statement; its rows, if it has any."""
        with self.database.transaction() as conn:
            cursor = conn.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def make(self, state: State = State.UPLOADED, **columns: Any) -> UUID:
        """Inserts a job that stands in ``state``; ``columns`` override the defaults."""
        document = uuid4()
        values: dict[str, object] = {
            "document_id": document,
            "user_id": "default",
            "status": str(state),
            "source": f"/in/{document}.pdf",
            "extension": ".pdf",
            "raw_path": f"storage://raw/default/{document}.pdf",
            "raw_sha": "0" * 64,
            "raw_bytes": 1,
            "chunks_version": "markdown-simple@1",
            "embed_model": "text-embedding-3-small",
            "embed_version": "d4-f1",
        }
        if state in FAILED:
            error = {"code": "job.unexpected", "what": "it broke", "why": "", "remedy": "look"}
            values |= {"failed_from": str(failable_into(state)[0]), "last_error": Jsonb(error)}
        values |= columns
        names, places = ", ".join(values), ", ".join(["%s"] * len(values))
        statement = f"INSERT INTO docproc.upload_jobs ({names}) VALUES ({places}) RETURNING job_id"
        job_id: UUID = self.sql(statement, *values.values())[0]["job_id"]
        return job_id

    def row(self, job_id: UUID) -> Row:
        """A job as it stands."""
        (row,) = self.sql("SELECT *, now() AS now FROM docproc.upload_jobs WHERE job_id = %s", job_id)
        return row

    def jobs(self) -> dict[str, Row]:
        """Every job by the name of its file."""
        rows = self.sql("SELECT * FROM docproc.upload_jobs ORDER BY created_at")
        return {Path(row["source"]).name: row for row in rows}

    def only(self) -> Row:
        """The one job that there is."""
        (row,) = self.jobs().values()
        return row

    def states(self) -> dict[str, str]:
        """Where every job stands, by the name of its file."""
        return {name: row["status"] for name, row in self.jobs().items()}

    def events(self, job_id: UUID) -> list[Row]:
        """The history of a job, oldest first."""
        return self.sql("SELECT * FROM docproc.job_events WHERE job_id = %s ORDER BY event_id", job_id)

    def steps(self, job_id: UUID) -> list[tuple[str | None, str]]:
        """The history of a job as pairs of states."""
        return [(event["from_status"], event["to_status"]) for event in self.events(job_id)]

    def count(self, table: str) -> int:
        """The number of rows of a table."""
        return int(self.sql(f"SELECT count(*) AS n FROM docproc.{table}")[0]["n"])

    def make_whole(self, job_id: UUID) -> None:
        """Gives the job's document one chunk and its vector, without which no job becomes complete."""
        self.sql(
            "INSERT INTO docproc.document_chunk_buffer SELECT gen_random_uuid(), document_id, user_id, 0,"
            " split_part(chunks_version, '@', 1), split_part(chunks_version, '@', 2), 'a', 'b', 't', '', '{}', 1, 1, 0,"
            " 1, 1 FROM docproc.upload_jobs WHERE job_id = %s",
            job_id,
        )
        self.sql(
            "INSERT INTO docproc.document_vector_buffer SELECT c.chunk_id, c.document_id, c.user_id, j.embed_model,"
            " j.embed_version, c.embed_sha, '[1,2,3,4]', 'v' FROM docproc.upload_jobs j"
            " JOIN docproc.document_chunk_buffer c USING (document_id) WHERE j.job_id = %s",
            job_id,
        )

    def parse_call(self) -> Row:
        """The one intent to parse that there is."""
        (call,) = self.sql("SELECT * FROM docproc.parse_calls")
        return call

    def make_due(self) -> None:
        """Ends every wait."""
        self.sql("UPDATE docproc.upload_jobs SET run_at = now() WHERE claimed_by IS NULL")

    def queue(self, owner: str = "host:1:1:tester", settings: RunnerSettings = RUNNER) -> Queue:
        """The queue as ``owner`` sees it."""
        return Queue(self.database, owner, settings)

    def claim(self, state: State = State.UPLOADED, *, owner: str = "host:1:1:tester", **columns: Any) -> Job:
        """Inserts a job in ``state`` and claims it."""
        self.make(state, **{"priority": 1_000_000, **columns})
        (job,) = self.queue(owner).claim([state], 1)
        return job


def chunks_of(*texts: str) -> list[Chunk]:
    """A chunk for each of ``texts``, one after the other."""
    made, at = [], 0
    for n, text in enumerate(texts):
        made.append(Chunk(n, text, at, at + len(text), ("Title",), 1, 1, max(1, len(text) // 4), f"Title\n\n{text}"))
        at += len(text) + 1
    return made


def bring(app: App, path: Path, data: bytes | str) -> Ingested:
    """Writes a file and ingests it."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    (entry,) = ingest(
        [path], target=app.target, catalogue=app.store.catalogue, storage=app.storage, settings=app.settings.ingest
    )
    assert isinstance(entry, Ingested), entry
    return entry


def bring_all(app: App, folder: Path, files: Mapping[str, bytes | str]) -> list[Ingested]:
    """Writes files into ``folder`` and ingests them."""
    return [bring(app, folder / name, data) for name, data in files.items()]


def bought(services: Mocks, before: Mapping[str, int]) -> tuple[int, int]:
    """Jobs made and pages billed at the parser since the bill ``before``."""
    after = services.bill()
    return after["jobs_created"] - before["jobs_created"], after["pages_billed"] - before["pages_billed"]


def drain(app: App, *commands: Command, stay: bool = True) -> Tally:
    """Runs the stages of ``commands`` (all of them by default) until nothing is left to do."""
    runner = Runner(app.store.queue, app.stages(commands or tuple(Command)), app.settings.runner)
    alarm = threading.Timer(PATIENCE, runner.stop)
    alarm.start()
    try:
        return runner.drain(stay=stay)
    finally:
        alarm.cancel()


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, and with bytes that no other has: the mock service caches by bytes."""
    number = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(number))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {number} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, words in enumerate(pages):
        text = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET"
        rest = "/MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R {rest} /Contents {5 + 2 * n} 0 R >>")
        objects.append(f"<< /Length {len(text)} >>\nstream\n{text}\nendstream")
    return _file(objects)


def _file(objects: Sequence[str]) -> bytes:
    data, offsets = f"%PDF-1.4\n%{uuid4()}\n".encode(), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer << /Size {size} /Root 1 0 R >>\nstartxref\n{len(data)}"
    return data + f"{end}\n%%EOF\n".encode()
