"""Intents to parse: written before the service is called, so that a crash can be reconciled instead of paid twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from docproc.model import Job
from docproc.postgres.database import Database, query
from docproc.postgres.ledger import Call, Ledger
from docproc.states import State
from docproc.store import ParseCall

if TYPE_CHECKING:
    from docproc.postgres.database import Conn


LIMIT = "llamaparse.submit"
"""The row of ``rate_limits`` that paces the submits of all processes."""


class ParseCalls:
    """The intents over ``parse_calls``, with their rows in the ledger."""

    def __init__(self, database: Database, run_id: UUID, ledger: Ledger | None = None) -> None:
        self._db = database
        self._ledger = ledger or Ledger(database, run_id)

    def parse_call(self, job: Job, parser: str) -> ParseCall:
        """The call for this document and parser settings, written now unless it exists."""
        values = {"document_id": job.document_id, "parser": parser, "client_ref": _new_ref()}
        rows = self._db.rows("parse_call", values)
        if not rows:  # another process wrote it between the insert and the look; now it is visible
            rows = self._db.rows("parse_call", values)
        return ParseCall(**rows[0])

    def reserve_submit(self, call: ParseCall, *, per_second: float, burst: int) -> float:
        """Takes a place in the queue of submits that all processes share; returns the seconds until its turn."""
        values = {"name": LIMIT, "parse_call_id": call.parse_call_id, "interval": 1 / per_second, "burst": burst}
        return float(self._db.rows("reserve_submit", values)[0]["seconds"])

    def pause_submits(self, seconds: float) -> None:
        """The service asked to wait: no process submits before ``seconds`` have passed."""
        self._db.run("pause_limit", {"name": LIMIT, "seconds": seconds})

    def begin_submit(self, call: ParseCall, job: Job, *, tier: str = "", pages: int | None = None) -> bool:
        """Marks that a request is about to be sent, and counts it; False when another process is at it.

        Reserves what ``pages`` of ``tier`` cost. Raises BudgetError, with nothing written, where that is too much.
        """
        call_id = uuid4()
        values = {
            "parse_call_id": call.parse_call_id,
            "submits": call.submits,
            "state": call.state,
            "call_id": call_id,
        }
        paid = Call("llamaparse", "parse", "parse", tier, "page", (job,), (pages,), pages)

        def write(conn: Conn) -> bool:
            ours = conn.execute(query("begin_submit"), values).rowcount == 1
            if ours:
                self._ledger.begin(conn, call_id, paid)
                conn.execute(query("open_parse_call"), values)
            return ours

        return self._db.attempt(write)

    def submitted(self, call: ParseCall, external_id: str) -> None:
        """Stores the service's id of the job and notes in the ledger that it was accepted, unless it is too late."""
        values = {"parse_call_id": call.parse_call_id, "client_ref": call.client_ref, "external_id": external_id}
        self._db.run("submitted", values)

    def submit_refused(self, call: ParseCall, code: str | None = None) -> None:
        """The service said no to the submit begun with ``call``: nothing was accepted, so it is not counted."""
        # What had failed before stays so: the next submit, too, must ask for a fresh parse.
        state = "failed" if call.state == "failed" else "intent"
        values = {"parse_call_id": call.parse_call_id, "submits": call.submits + 1, "state": state, "code": code}
        self._db.run("submit_refused", values)

    def parse_lost(self, call: ParseCall, code: str | None = None) -> None:
        """The service's job is of no more use (failed, expired, cancelled): a further submit makes a new one.

        Perhaps it is paid for all the same.
        """
        values = {"parse_call_id": call.parse_call_id, "external_id": call.external_id, "client_ref": _new_ref()}
        self._db.run("parse_lost", values | {"code": code})

    def canonical_parse(self, job: Job, parsed_sha: str) -> str | None:
        """The stored parse of the user's earliest other document with the same parse, if there is one."""
        values = {"user": job.user_id, "parsed_sha": parsed_sha, "document_id": job.document_id}
        rows = self._db.rows("canonical_parse", values)
        return str(rows[0]["parsed_path"]) if rows else None

    def refused_parses(self) -> list[dict[str, Any]]:
        """``job_id``, ``extension`` and ``progress`` of the jobs whose parse validate has refused."""
        return self._db.rows("refused_parses", {"judged": str(State.PARSED)})


def _new_ref() -> str:
    return f"docproc-{uuid4()}"
