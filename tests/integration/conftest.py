"""The test's database by rows, for everything that is tested against a real Postgres."""

from __future__ import annotations

import pytest

from docproc.postgres.database import Database
from tests.integration.bench import Bench


@pytest.fixture
def bench(database: Database) -> Bench:
    """Rows to order and to look at, in a migrated database without rows."""
    return Bench(database)
