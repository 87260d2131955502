"""Settings that let many documents be submitted at once, and small vectors."""

from __future__ import annotations

from dataclasses import replace

import pytest

from docproc.settings import Settings


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The test's settings without a limit of submits, which has tests of its own, and with 16 dimensions."""
    return replace(
        settings,
        parser=replace(settings.parser, submits_per_10s=0),
        embedder=replace(settings.embedder, dimensions=16),
    )
