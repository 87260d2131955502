"""Ctrl-C and SIGTERM: a busy run finishes what is paid for, hands its leases back and ends soon."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.e2e.documents import texts
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, wait_until

SOON = 10.0


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_busy_run_that_is_asked_to_end_keeps_what_is_paid_for_and_ends_soon(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path, number: signal.Signals, exit_code: int
) -> None:
    folder = texts(tmp_path / "documents", 40)
    before = services.bill()["embedding_inputs"]
    services.set_faults("openai.slow:seconds=1.5")
    run = docproc.start("run-all", str(folder))
    wait_until(lambda: tables.open_calls("embed") > 0)
    run.send_signal(number)
    asked = time.monotonic()
    _, said = run.communicate(timeout=60)
    assert time.monotonic() - asked < SOON
    assert run.returncode == exit_code, said
    assert "Traceback" not in said
    assert tables.leases() == 0
    assert tables.open_calls("embed") == 0
    assert tables.number("SELECT count(*) FROM docproc.document_vector_buffer") > 0
    services.set_faults()

    assert docproc.run("run-all", str(folder)).returncode == 0
    tables.assert_whole(40)
    assert services.bill()["embedding_inputs"] - before == tables.distinct_texts()


def test_a_second_signal_ends_at_once_and_the_next_run_goes_on(
    docproc: Docproc, tables: Tables, services: Mocks, tmp_path: Path
) -> None:
    folder = texts(tmp_path / "documents", 4)
    services.set_faults("openai.slow:seconds=8")
    run = docproc.start("run-all", str(folder))
    wait_until(lambda: tables.open_calls("embed") > 0)
    asked = time.monotonic()
    run.send_signal(signal.SIGINT)
    # Both are needed: two signals that wait together arrive as one.
    while run.poll() is None:
        assert time.monotonic() - asked < 5.0
        time.sleep(0.1)
        run.send_signal(signal.SIGINT)
    run.communicate(timeout=10)
    assert run.returncode == 130
    assert tables.leases() > 0
    services.set_faults()
    assert docproc.run("run-all", str(folder)).returncode == 0
    tables.assert_whole(4)
