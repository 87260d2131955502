"""Names of processes, and whether those that they name are dead."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from docproc.local import identity, processes

NAME_ANOTHER = "from docproc.local import identity; print(identity.owner_name(), flush=True); input()"


def another() -> tuple[subprocess.Popen[str], str]:
    """A process, waiting for input, and its name."""
    process = subprocess.Popen(
        [sys.executable, "-c", NAME_ANOTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def test_a_name_holds_host_pid_start_and_something_unique() -> None:
    host, pid, start, unique = identity.owner_name().split(":")
    assert host == identity.host_name()
    assert int(pid) == os.getpid()
    assert start == processes.started_at(os.getpid())
    assert len(unique) == 32
    assert identity.owner_name() != identity.owner_name()


def test_a_process_is_dead_from_its_end_on_even_as_a_zombie() -> None:
    process, name = another()
    with process:
        assert not identity.is_dead(name)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert identity.is_dead(name)
    assert identity.is_dead(name)


def test_a_pid_that_was_given_to_another_process_is_dead() -> None:
    host, pid, start, unique = identity.owner_name().split(":")
    assert identity.is_dead(f"{host}:{pid}:{int(start) - 1}:{unique}")


@pytest.mark.parametrize(
    "name",
    ["", "host", "a:b:c:d", "::::", "{host}:1:1", "{host}:-1:1:x", "{host}:99999999999999999999:1:x", "{host}:0:1:x"],
)
def test_what_is_no_name_of_ours_is_not_dead(name: str) -> None:
    assert not identity.is_dead(name.format(host=identity.host_name()))


def test_processes_of_other_hosts_boots_and_containers_are_not_dead() -> None:
    process, name = another()
    with process:
        process.kill()
    _, _, rest = name.partition(":")
    assert identity.is_dead(name)
    assert not identity.is_dead(f"elsewhere-{identity.boot()}:{rest}")
    assert not identity.is_dead(f"{identity.host_name()[:-1]}_:{rest}")


def test_nothing_is_known_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    process, name = another()
    with process:
        process.kill()
    monkeypatch.setattr(identity, "boot", lambda: "")
    host, _, rest = name.partition(":")
    assert not identity.is_dead(f"{host.rpartition('-')[0]}-:{rest}")
    assert not identity.is_dead(name)


def test_ps_tells_the_same_processes_apart_where_there_is_no_proc() -> None:
    process, _ = another()
    with process:
        assert processes._started_at_by_ps(process.pid) == processes._started_at_by_ps(process.pid) != None  # noqa: E711
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert processes._started_at_by_ps(process.pid) is None
    assert processes._started_at_by_ps(process.pid) is None
