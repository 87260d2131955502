"""A reference batch, in yardsticks: slower is what is slower by more than a fifth and by more than noise."""

from __future__ import annotations

import pytest

from docproc.drift import performance
from docproc.drift.performance import Performance, Run
from docproc.errors import ConfigError
from docproc.settings import Settings
from tests.conftest import COUNTERS, TABLES
from tests.integration.bench import Bench


def measured(*ratios: float) -> Performance:
    """Runs of so many yardsticks each."""
    return Performance(24, tuple(Run(ratio * 0.05, 0.05) for ratio in ratios), {"uploaded": 0.1})


BEFORE = measured(10.0, 10.5, 11.0)


def test_a_batch_is_measured_and_removed(settings: Settings, bench: Bench) -> None:
    found = performance.measure(settings, runs=2, documents=3)
    assert (found.documents, len(found.runs)) == (3, 2)
    assert all(run.seconds > 0 and run.yardstick > 0 for run in found.runs)
    assert found.stages["uploaded"] > 0
    assert Performance.of("file", found.document()) == found
    assert not any(bench.count(table) for table in TABLES if table not in COUNTERS)


@pytest.mark.parametrize(
    ("now", "severity"),
    [
        (measured(10.0, 12.0, 12.2), None),  # within the band
        (measured(13.0, 13.5, 14.0), "error"),
        (measured(10.9, 13.5, 14.0), "info"),  # its best run was as fast as before: noise
        (measured(5.0, 6.0, 7.0), "info"),  # faster
    ],
)
def test_slower_is_by_more_than_a_fifth_and_by_more_than_noise(now: Performance, severity: str | None) -> None:
    found = performance.compared("before", BEFORE, now).differences
    assert [difference.severity for difference in found] == ([severity] if severity else [])


def test_a_busy_machine_slows_the_yardstick_too() -> None:
    busy = Performance(24, tuple(Run(run.seconds * 3, run.yardstick * 3) for run in BEFORE.runs), {})
    assert performance.compared("before", BEFORE, busy).differences == ()


def test_another_batch_and_a_file_without_one_are_no_baseline() -> None:
    with pytest.raises(ConfigError, match="another batch"):
        performance.compared("before", BEFORE, Performance(12, BEFORE.runs, {}))
    with pytest.raises(ConfigError, match="holds no performance"):
        Performance.of("file", None)
