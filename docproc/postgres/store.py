"""The store as the composition root holds it: queue, catalogue, parse calls, vectors and search over one database."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from docproc.postgres.catalogue import Catalogue
from docproc.postgres.ledger import Ledger
from docproc.postgres.parse_calls import ParseCalls
from docproc.postgres.queue import LOWEST, Queue
from docproc.postgres.rate_limits import RateLimits
from docproc.postgres.reads import Reads
from docproc.postgres.runs import Runs
from docproc.postgres.searching import Search
from docproc.postgres.sweeping import Sweeping
from docproc.postgres.trials import TRIAL_PRIORITY, Trials
from docproc.postgres.vectors import Vectors

if TYPE_CHECKING:
    from docproc.budget import Budget
    from docproc.postgres.database import Database
    from docproc.prices import Prices
    from docproc.settings import RunnerSettings


class PostgresStore:
    """Everything that one docproc process, ``owner``, does in the database in one run.

    ``only`` limits its queue to one user; with ``trial`` that user's jobs come before all others. Without
    ``prices`` the shipped ones hold, and without ``budget`` no limit.
    """

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        run_id: UUID,
        settings: RunnerSettings,
        only: str | None = None,
        trial: bool = False,
        prices: Prices | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.database = database
        self.queue = Queue(database, owner, settings, only=only, least=TRIAL_PRIORITY if trial else LOWEST)
        self.catalogue = Catalogue(database, owner, priority=TRIAL_PRIORITY if trial else 0)
        self.ledger = Ledger(database, run_id, prices=prices, budget=budget)
        self.parse_calls = ParseCalls(database, run_id, self.ledger)
        self.rate_limits = RateLimits(database)
        self.vectors = Vectors(database, run_id, self.ledger)
        self.search = Search(database)
        self.runs = Runs(database, owner, run_id)
        self.reads = Reads(database)
        self.sweeping = Sweeping(database)
        self.trials = Trials(database)
