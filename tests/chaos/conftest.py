"""How much chaos: a few rounds in the default suite, all of it with DOCPROC_CHAOS=long."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import nullcontext

import pytest

from docproc.postgres.database import Database
from tests.integration.bench import Bench

LONG = os.environ.get("DOCPROC_CHAOS") == "long"
REPEATED = bool(os.environ.get("DOCPROC_CHAOS_SEED"))
"""Whether a run is had again, with the seed that it printed."""


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a line: shown with a failure, in the long form always."""

    def say(line: str) -> None:
        with capsys.disabled() if LONG else nullcontext():
            print(line, flush=True)  # noqa: T201

    return say


@pytest.fixture
def seed(tell: Callable[[str], None]) -> int:
    """The seed of what is drawn: DOCPROC_CHAOS_SEED, else a new one; told, so that a failure can be had again."""
    drawn = int(os.environ.get("DOCPROC_CHAOS_SEED") or secrets.randbelow(2**32))
    tell(f"DOCPROC_CHAOS_SEED={drawn}")
    return drawn


@pytest.fixture
def bench(database: Database) -> Bench:
    """Rows to order and to look at."""
    return Bench(database)
