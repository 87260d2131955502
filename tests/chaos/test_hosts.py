"""Three hosts on one database: one is cut off in the middle and comes back, one has a wrong clock; all ends well."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.chaos import hosts
from tests.chaos.books import Books
from tests.chaos.conftest import LONG
from tests.chaos.hosts import Host, Site
from tests.chaos.library import CANARY, library
from tests.chaos.storm import EMBED_THREADS, ENVIRONMENT, MAX_INPUTS, MAX_SUBMITS
from tests.chaos.told import assert_counts_are_true, assert_nothing_leaked, assert_receipts_are_true
from tests.e2e.conftest import SHORT_WAITS
from tests.e2e.tables import Tables
from tests.support import wait_until

LEASE, CUT = 4.0, 5.5
"""Seconds of a lease, and without a network. TCP sends again 6.2 s after the first time and then not before 12.6 s: a
longer cut could have a submit arrive after ``ENVIRONMENT`` lets another host make it again, at 12 s."""

ANOTHER_CLOCK = {"FAKETIME": "+1h", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

FAULTS = ("openai.slow:seconds=0.3",)
"""So that there is something in flight when the cable is cut."""

HELD = (
    "SELECT job_id, lease_until, claimed_by FROM docproc.upload_jobs"
    " WHERE starts_with(claimed_by, %s) AND lease_until > clock_timestamp()"
)
FREED = (
    "SELECT job_id, at, worker FROM docproc.job_events"
    " WHERE code = 'job.lease_expired' AND starts_with(worker, %s)"
)  # fmt: skip
SHARES = (
    "SELECT split_part(worker, '-', 1), count(DISTINCT job_id) FILTER (WHERE to_status = 'complete'), count(*)"
    "  FROM docproc.job_events WHERE from_status <> to_status GROUP BY 1 ORDER BY 1"
)
LOSERS = "SELECT count(DISTINCT worker) FROM docproc.job_events WHERE code = 'job.lease_expired'"
"""Processes that lost a lease: on a machine with too much to do others than the one that was cut off, too."""

REFUSED = "a settle was refused"


@dataclass(slots=True)
class Crew:
    """docproc on each host of a site, each with a home of its own: the documents are at the mocks' storage."""

    site: Site
    folder: Path
    clocks: Mapping[str, Mapping[str, str]]
    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def environ(self, host: Host) -> dict[str, str]:
        own = {
            "DOCPROC_HOME": str(self.folder / f"home-{host.name}"),
            "DOCPROC_STORAGE_BACKEND": "supabase",
            "DOCPROC_RUNNER_LEASE": str(LEASE),
        }
        return {**self.site.environ, **SHORT_WAITS, **ENVIRONMENT, **own, **self.clocks.get(host.name, {})}

    def log(self, host: Host) -> Path:
        return self.folder / f"{host.name}.log"

    def start(self, host: Host, *words: str) -> None:
        self.running[host.name] = host.start(words, self.environ(host), self.folder / host.name, self.log(host))

    def run(self, *words: str, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """A command on the first host, to its end."""
        host, out = self.site.cable.hosts[0], self.folder / "command.out"
        out.unlink(missing_ok=True)
        process = host.start(words, self.environ(host), self.folder / host.name, out)
        process.wait(timeout)
        return subprocess.CompletedProcess(words, process.returncode, out.read_text("utf-8"), out.read_text("utf-8"))

    def wait(self, seconds: float) -> dict[str, int]:
        """Waits for everybody's end; the exit codes."""
        wait_until(lambda: all(process.poll() is not None for process in self.running.values()), seconds=seconds)
        return {name: process.returncode for name, process in self.running.items()}

    def said(self) -> list[str]:
        return [line for host in self.site.cable.hosts for line in self.log(host).read_text("utf-8").splitlines()]


@pytest.fixture
def site() -> Iterator[Site]:
    if reason := hosts.why_not():
        pytest.skip(reason)
    with hosts.site(("north", "east", "south"), processing_delay=0.3, faults=FAULTS) as made:
        yield made


@pytest.fixture
def crew(site: Site, tmp_path: Path, tell: Callable[[str], None]) -> Crew:
    """The last host's clock is an hour ahead, where that can be had."""
    library_of_clocks = hosts.faketime()
    if library_of_clocks is None:
        tell("no other clock: the package faketime is not installed")
        return Crew(site, tmp_path, {})
    return Crew(site, tmp_path, {"south": {"LD_PRELOAD": str(library_of_clocks), **ANOTHER_CLOCK}})


def test_a_host_that_is_cut_off_and_one_with_a_wrong_clock_lose_nothing_and_pay_nothing_twice(
    crew: Crew, site: Site, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    tables, cable = Tables(site.conninfo), site.cable
    papers = library(tmp_path / "papers", 5000 if LONG else 60, seed=11)
    books = Books.open(site.conninfo, papers, site.mocks, max_submits=MAX_SUBMITS)
    brought = crew.run("ingest", str(papers.folder))
    assert brought.returncode == 0, brought.stdout

    began = time.monotonic()
    for host in cable.hosts:
        crew.start(host, "-v", "run-all")
    unlucky = cable.hosts[1]
    held = cut_while_it_holds_jobs(site, unlucky)
    wait_for(CUT)
    cable.mend(unlucky)
    ended = crew.wait(3600.0 if LONG else 120.0)
    seconds = time.monotonic() - began

    said, balance = crew.said(), books.balance()
    bound = tables.number(LOSERS) * EMBED_THREADS * MAX_INPUTS
    for host, complete, steps in tables.rows(SHARES):
        tell(f"{host}: {complete:,} documents complete, {steps:,} changes of state")
    late = sum(REFUSED in line for line in said)
    tell(f"{papers.documents:,} documents, {seconds:.0f} s; {len(held)} jobs held when the cable was cut,"
         f" {balance.rescued} leases taken over, {late} late settles refused,"
         f" {balance.inputs_twice} inputs embedded twice (at most {bound})")  # fmt: skip
    assert set(ended.values()) == {0}, (ended, [line for line in said if "error" in line])
    assert_each_lease_was_waited_for(tables, unlucky, held)
    assert_the_clock_was_wrong(crew)
    balance.assert_sound()
    assert 0 <= balance.inputs_twice <= bound
    # In the short form the others may be through before the one that was cut off comes back.
    assert len(tables.rows(SHARES)) >= (len(cable.hosts) if LONG else 2)
    assert_counts_are_true(crew.run, tables)
    assert_receipts_are_true(said, tables)
    assert_nothing_leaked(CANARY, said, tables, site.log)
    rows, asked = tables.dump(), len(site.mocks.log())
    again = crew.run("run-all")
    assert again.returncode == 0, again.stdout
    assert tables.dump() == rows
    assert len(site.mocks.log()) == asked


def cut_while_it_holds_jobs(site: Site, host: Host) -> dict[Any, tuple[datetime, str]]:
    """Cuts ``host`` off; the jobs that it holds then, each with the end of its lease and its owner's name."""
    tables, name = Tables(site.conninfo), f"{host.name}-"
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        wait_until(lambda: len(tables.rows(HELD, name)) > 1, seconds=60.0)
        site.cable.cut(host)
        wait_for(0.3)  # what had reached Postgres is settled by then
        if held := tables.rows(HELD, name):
            return {job: (until, owner) for job, until, owner in held}
        site.cable.mend(host)
    raise AssertionError(f"{host.name} never held a job when its cable was cut")


def wait_for(seconds: float) -> None:
    """Lets time pass: how long a cable is cut is what is tested."""
    time.sleep(seconds)


def assert_each_lease_was_waited_for(tables: Tables, host: Host, held: Mapping[Any, tuple[datetime, str]]) -> None:
    """No other host took a job before its lease had run out, though none knows a process of that pid."""
    freed = {job: (at, worker) for job, at, worker in tables.rows(FREED, f"{host.name}-")}
    assert set(held) & set(freed), "nobody took over what the host held"
    for job in set(held) & set(freed):
        (until, owner), (at, worker) = held[job], freed[job]
        assert worker == owner
        assert at >= until, f"taken {until - at} before the lease's end"


def assert_the_clock_was_wrong(crew: Crew) -> None:
    """The last host's log is an hour ahead of the first one's, if it had a clock of its own."""
    first, last = (
        datetime.fromisoformat(json.loads(crew.log(host).read_text("utf-8").splitlines()[0])["ts"])
        for host in (crew.site.cable.hosts[0], crew.site.cable.hosts[-1])
    )
    assert (3500 < (last - first).total_seconds() < 3700) is bool(crew.clocks)


def test_a_host_is_reached_by_its_cable_alone(site: Site) -> None:
    """What the story rests on: a cut is a cut, no other host's pid is known, and Postgres asks for a password."""
    north = site.cable.hosts[0]
    away = subprocess.run(
        ["nsenter", f"--target={north.pid}", "--net", "--", "ip", "-br", "address"], capture_output=True, check=True
    )
    assert {line.split()[0].split("@")[0] for line in away.stdout.decode().splitlines()} == {"lo", "eth0"}
    assert subprocess.run(ping(north), capture_output=True, check=False).returncode == 0
    site.cable.cut(north)
    assert subprocess.run(ping(north), capture_output=True, check=False).returncode != 0
    site.cable.mend(north)
    wrong = psycopg.conninfo.make_conninfo(site.conninfo, password="wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def ping(host: Host) -> list[str]:
    """Opens a connection to the hub's Postgres from ``host``, within a second."""
    program = f"import socket; socket.create_connection(({hosts.HUB!r}, {hosts.PORTS['postgres']}), 1).close()"
    return ["nsenter", f"--target={host.pid}", "--net", "--", "python3", "-c", program]
