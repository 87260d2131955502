"""The books after a disaster: what is there against what was brought in, what was paid against what was needed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from docproc.postgres.database import Database
from docproc.postgres.reads import Reads
from docproc.settings import ParserSettings, RunnerSettings
from tests.chaos.library import Library
from tests.e2e.tables import Tables
from tests.support import Mocks

_LIVE = (
    "SELECT count(*) FROM docproc.sources s JOIN docproc.upload_jobs j ON j.job_id = s.live_job_id"
    " WHERE j.status = 'complete'"
)
_STEPS = "SELECT count(*) FROM docproc.job_events WHERE from_status <> to_status"
_TWICE = (
    "SELECT count(*) FROM (SELECT FROM docproc.job_events WHERE from_status <> to_status"
    " GROUP BY job_id, from_status, to_status HAVING count(*) > 1) steps"
)
_BOUGHT = "SELECT coalesce(sum(inputs), 0) FROM docproc.api_calls WHERE operation = 'embed' AND code = %s"
_EVENTS = "SELECT count(*) FROM docproc.job_events WHERE code = %s"

_CHARGED = ("jobs_created", "pages_billed", "embedding_inputs")

STEPS = 8
"""Changes of state from ``uploaded`` to ``complete``."""


@dataclass(frozen=True, slots=True)
class Balance:
    """What was found; every field from ``lost`` to ``pages_twice`` is to be zero."""

    documents: int
    files: int
    steps: int
    failed_tries: int
    rescued: int
    parse_jobs: int
    pages: int
    inputs: int
    inputs_refused: int
    lost: int
    jobs_too_many: int
    steps_missing: int
    steps_twice: int
    leases: int
    parse_jobs_twice: int
    pages_twice: int
    inputs_twice: int
    broken: tuple[dict[str, Any], ...]

    def assert_sound(self) -> None:
        """Fails unless everything is there once and every page was paid for once; ``inputs_twice`` is left to judge."""
        found = asdict(self)
        names = ["lost", "jobs_too_many", "steps_missing", "steps_twice", "leases", "parse_jobs_twice", "pages_twice"]
        assert {name: found[name] for name in names if found[name]} == {}
        assert self.broken == ()


@dataclass(frozen=True, slots=True)
class Books:
    """The database at ``conninfo`` into which ``library`` was brought, and the mocks that were used for it."""

    conninfo: str
    library: Library
    mocks: Mocks
    before: dict[str, Any]
    max_submits: int

    @classmethod
    def open(
        cls, conninfo: str, library: Library, mocks: Mocks, *, max_submits: int = ParserSettings().max_submits
    ) -> Books:
        """Begins to count what the mocks charge."""
        return cls(conninfo, library, mocks, mocks.bill(), max_submits)

    def balance(self) -> Balance:
        """Counts everything. For documents that all differ, and whose every chunk differs from all others."""
        tables, library, bill = Tables(self.conninfo), self.library, self.mocks.bill()
        jobs, steps = tables.number("SELECT count(*) FROM docproc.upload_jobs"), tables.number(_STEPS)
        charged = {
            name: bill[name] - self.before[name] for name in ("jobs_created", "pages_billed", "embedding_inputs")
        }
        refused = tables.number(_BOUGHT, "embed.bad_response")
        return Balance(
            documents=library.documents,
            files=library.files,
            steps=steps,
            failed_tries=tables.number("SELECT count(*) FROM docproc.job_events WHERE code IS NOT NULL"),
            rescued=tables.number(_EVENTS, "job.lease_expired"),
            parse_jobs=charged["jobs_created"],
            pages=charged["pages_billed"],
            inputs=charged["embedding_inputs"],
            inputs_refused=refused,
            lost=library.files - tables.number(_LIVE),
            jobs_too_many=jobs - library.documents,
            steps_missing=STEPS * library.documents - steps,
            steps_twice=tables.number(_TWICE),
            leases=tables.leases(),
            parse_jobs_twice=charged["jobs_created"] - library.paid,
            pages_twice=charged["pages_billed"] - library.pages,
            inputs_twice=charged["embedding_inputs"] - refused - tables.distinct_texts(),
            broken=self._broken(),
        )

    def _broken(self) -> tuple[dict[str, Any], ...]:
        database = Database(self.conninfo)
        try:
            found = Reads(database).broken_invariants(lease=RunnerSettings().lease, max_submits=self.max_submits)
        finally:
            database.close()
        return tuple(found)
