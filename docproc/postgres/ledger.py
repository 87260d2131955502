"""The ledger of paid calls: a row before each, with what it may cost held against the budgets; closed after it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

from docproc.budget import Budget, Spending, no_price, over
from docproc.model import Embedded, Job
from docproc.postgres.database import Database, query
from docproc.prices import Prices

if TYPE_CHECKING:
    from docproc.postgres.database import Conn

log = logging.getLogger(__name__)

SUMS = ("day", "document", "source", "model")
"""What the ledger can be summed by, beside its single rows: ``call``."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that is to be paid for.

    ``model`` is the embedding model or the parser's tier; ``shares`` are the units of each of ``jobs``, ``estimated``
    their sum: tokens, or the pages that the file was seen to have, None where they cannot be counted.
    """

    provider: str
    operation: str
    stage: str
    model: str
    unit: str
    jobs: Sequence[Job]
    shares: Sequence[int | None]
    estimated: int | None
    inputs: int = 1


class Ledger:
    """The rows of this process's run in ``api_calls``, at the prices that hold now."""

    def __init__(
        self, database: Database, run_id: UUID, *, prices: Prices | None = None, budget: Budget | None = None
    ) -> None:
        self._db = database
        self._run_id = run_id
        self._prices = prices or Prices()
        self._budget = budget or Budget()
        self._told = False

    # ── one call ────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self, conn: Conn, call_id: UUID, call: Call) -> None:
        """Writes the row of ``call`` in the caller's transaction, and reserves what it may cost.

        Raises BudgetError, for the transaction to be rolled back, where that goes over a budget: whatever other
        processes do at the same moment, the reserves of all never do.
        """
        prices, caps = self._prices, self._budget.caps
        price = prices.per_token(call.model) if call.unit == "token" else prices.per_page(call.model)
        if caps and price is None:
            raise no_price(call.model)
        values = self._values(call_id, call, price)
        if conn.execute(query("begin_call"), values).rowcount != 1 or not caps:
            return  # a second try after a lost answer was counted by the first
        conn.execute(query("count_now"))
        counted: dict[str, tuple[str, Decimal]] = {}
        cost, mock = Decimal(0), False
        for row in conn.execute(query("counted"), {"call_id": call_id}):
            name, _, label = row["period"].partition(" ")
            counted[name] = (label, row["usd"])
            cost, mock = row["cost"], row["mock"]
        refused = over(counted, cost, self._budget, prices, mock=mock)
        if refused is not None:
            raise refused

    def _values(self, call_id: UUID, call: Call, price: Decimal | None) -> dict[str, object]:
        return {
            "call_id": call_id,
            "run_id": self._run_id,
            "provider": call.provider,
            "operation": call.operation,
            "stage": call.stage,
            "attempt": max((job.attempt for job in call.jobs), default=None),
            "model": call.model,
            "job_ids": [job.job_id for job in call.jobs],
            "document_ids": [job.document_id for job in call.jobs],
            "shares": list(call.shares),
            "unit": call.unit,
            "units_estimated": call.estimated,
            "units_reserved": self._budget.pages_if_unknown if call.estimated is None else call.estimated,
            "inputs": call.inputs,
            "usd_per_unit": price,
            "usd_per_credit": self._prices.per_credit if call.unit == "page" else None,
            "capped": bool(self._budget.per_run),
        }

    def end(
        self, conn: Conn, call_id: UUID, outcome: str, answer: Embedded | None = None, *, code: str | None = None
    ) -> None:
        """Closes a row in the caller's transaction, at what the provider reports; a ``refused`` one costs nothing."""
        tokens, request_id = (answer.tokens, answer.request_id) if answer else (None, None)
        told = {"units_reported": tokens, "request_id": request_id}
        for row in conn.execute(query("end_call"), {"call_id": call_id, "outcome": outcome, "code": code, **told}):
            if None not in row.values() and row["units_estimated"] != row["units_reported"] and not self._told:
                self._told = True
                note = f"{row['units_estimated']} tokens were counted, {row['units_reported']} are reported"
                log.warning("the provider reports other usage than was counted", extra={"note": note})

    # ── all of them ─────────────────────────────────────────────────────────────────────────────────────────────────

    def rows(self, by: str = "call", since: datetime | None = None) -> list[dict[str, Any]]:
        """The ledger for an export, from ``since`` on: ``by`` ``call``, or summed by one of ``SUMS``.

        The columns are those of the view ``docproc.spend_by_call``; of sums ``key``, ``provider``, ``unit``, ``calls``,
        ``units``, ``usd_estimated``, ``usd_reported``, ``usd``, ``perhaps_paid`` (the part of ``usd`` whose calls had
        no known end) and ``difference`` (reported less estimated, where both are known). USD are Decimal, None where
        no price is known. Raises KeyError for another ``by``.
        """
        if by == "call":
            return self._db.rows("spend_calls", {"since": since})
        if by not in SUMS:
            raise KeyError(by)
        return self._db.rows("spend_sums", {"by": by, "since": since})

    def spending(self) -> Spending:
        """What was spent today, this month and by the runs that go on, with the budgets. Raises DatabaseError."""
        (row,) = self._db.rows("spending_now", {"run_id": self._run_id})
        return Spending(
            row["today"],
            row["month"],
            row["run"],
            row["perhaps_today"],
            row["perhaps_month"],
            row["mock"],
            self._budget,
            self._prices,
        )
