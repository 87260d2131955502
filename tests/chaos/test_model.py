"""The queue against a model of it: claims, crashes, expired leases and zombies in any order, compared at every step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import hypothesis
import psycopg
from hypothesis import stateful
from psycopg.rows import dict_row

from docproc.postgres.database import Database
from tests.chaos.conftest import LONG, REPEATED
from tests.chaos.queue_machine import QueueMachine
from tests.integration.bench import Bench

EXAMPLES, STEPS = (200, 60) if LONG else (50, 30)

MUST_FIRE = {"claim", "refused", "Done", "rescued"}
RARE = {
    "Advance",
    "Wait",
    "Retry",
    "Fail",
    "complete",
    "incomplete",
    "given up",
    "retried",
    "settled together",
    "disowned",
    "killed",
}
"""What a short run may miss."""


def test_the_queue_does_what_its_model_says(database: Database, seed: int, tell: Callable[[str], None]) -> None:
    fired: Counter[str] = Counter()
    profile = hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        # A failure is made small only when it is looked for again: that takes minutes.
        phases=[phase for phase in hypothesis.Phase if REPEATED or phase is not hypothesis.Phase.shrink],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with psycopg.connect(database.conninfo, autocommit=True, row_factory=dict_row) as eye:
        machine = type("Machine", (QueueMachine,), {"bench": Bench(database), "fired": fired, "eye": eye})
        stateful.run_state_machine_as_test(hypothesis.seed(seed)(machine), settings=profile)
    tell(f"{fired.pop('steps')} steps, among them {dict(sorted(fired.items()))}")
    assert MUST_FIRE | (RARE if LONG else set()) <= set(+fired), fired
