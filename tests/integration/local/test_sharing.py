"""Several processes and one cluster, while clients and servers are killed."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from docproc.errors import DatabaseError
from docproc.local import cluster, shared

if TYPE_CHECKING:
    from tests.integration.local.conftest import Home


def starts(home: Home) -> int:
    """How often a server became ready, by its log."""
    return (home.path / "postgres" / "log").read_text().count("ready to accept connections")


def test_processes_share_one_server_and_the_last_one_out_stops_it(home: Home) -> None:
    before = starts(home)
    first, second = home.client(), home.client()
    server = home.server()
    assert first.ask("sql SHOW data_directory") == second.ask("sql SHOW data_directory")
    assert first.ask("close") == "done"
    assert server.is_alive()
    assert second.ask("sql SELECT 1") == "(1,)"
    assert second.ask("close") == "done"
    assert not home.postgres_processes()
    assert starts(home) == before + 1


def test_a_killed_client_does_not_stop_the_cluster(home: Home) -> None:
    first, second = home.client(), home.client()
    first.kill()
    assert second.ask("sql SELECT 1") == "(1,)"
    second.ask("close")
    assert not home.postgres_processes()


def test_a_cluster_whose_users_were_all_killed_is_used_and_stopped_by_the_next(home: Home) -> None:
    for client in [home.client(), home.client()]:
        client.kill()
    server = home.server()
    assert server.is_alive()
    with cluster.start(home.path, fsync=False):
        assert home.server() == server
    assert not home.postgres_processes()


def test_a_process_that_forgets_to_close_still_stops_the_cluster(home: Home) -> None:
    assert home.client().end() == 0
    assert not home.postgres_processes()


def test_a_killed_server_is_found_dead_and_started_again_by_the_next(home: Home) -> None:
    first = home.client()
    first.ask("sql DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 7 AS n")
    home.kill_server()
    assert home.client().ask("sql SELECT n FROM kept") == "(7,)"
    assert first.ask("sql SELECT n FROM kept") == "(7,)"


def test_a_running_process_can_bring_its_killed_server_back(home: Home) -> None:
    with cluster.start(home.path, fsync=False) as handle:
        home.kill_server()
        with pytest.raises(DatabaseError, match="has stopped"):
            assert handle.dsn
        handle.ensure()
        with psycopg.connect(handle.dsn) as connection:
            connection.execute("SELECT 1")


def test_many_threads_and_processes_that_miss_their_server_start_it_once(home: Home) -> None:
    others = [home.client() for _ in range(3)]
    with cluster.start(home.path, fsync=False) as handle, ThreadPoolExecutor(8) as threads:
        home.kill_server()
        before = starts(home)
        for other in others:
            other.tell("ensure")
        list(threads.map(lambda _: handle.ensure(), range(16)))
        assert [other.answer() for other in others] == ["done"] * 3
        assert starts(home) == before + 1


def test_a_busy_backend_of_a_killed_server_only_delays_the_next_start(home: Home) -> None:
    busy = home.client()
    busy.tell("sql DO $$ BEGIN WHILE clock_timestamp() < now() + interval '2 s' LOOP END LOOP; END $$")
    home.until(lambda: any(b"[local] DO" in command_line(pid) for pid in home.postgres_processes()))
    home.kill_server()
    assert home.client().ask("sql SELECT 1") == "(1,)"


def command_line(pid: int) -> bytes:
    """How a Postgres process titles itself; empty when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_server_that_became_a_zombie_does_not_stop_the_next_start(home: Home) -> None:
    parent = home.client("cluster", "subreaper")
    zombie = home.server()
    zombie.send(signal.SIGKILL)
    home.until(lambda: not zombie.is_alive())
    os.kill(zombie.pid, 0)  # its pid is still taken, and by a postmaster by the look of it
    assert int((home.data / "postmaster.pid").read_text().split()[0]) == zombie.pid
    assert parent.ask("ensure") == "done"
    assert parent.ask("sql SELECT 1") == "(1,)"


def test_a_pid_file_that_names_a_stranger_does_not_stop_the_next_start(home: Home) -> None:
    home.client().kill()
    home.kill_server()
    for pid_file in (home.data / "postmaster.pid", home.data / ".s.PGSQL.5432.lock"):
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    record = home.path / "postgres" / "running.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": os.getpid()}))
    assert home.client().ask("sql SELECT 1") == "(1,)"


def test_handles_of_one_process_are_counted(home: Home) -> None:
    first = cluster.start(home.path, fsync=False)
    with ThreadPoolExecutor(4) as threads:
        more = list(threads.map(lambda _: cluster.start(home.path, fsync=False), range(4)))
    server = home.server()
    first.close()
    first.close()
    for handle in more[1:]:
        handle.close()
    assert server.is_alive()
    with pytest.raises(ValueError, match="closed"):
        first.ensure()
    more[0].close()
    assert not home.postgres_processes()


def test_a_forked_child_neither_keeps_nor_stops_its_parents_cluster(home: Home) -> None:
    handle = cluster.start(home.path, fsync=False)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        handle.close()
        os.write(write, b"closed")
        signal.pause()
        os._exit(0)
    try:
        assert os.read(read, 10) == b"closed"
        assert home.running()
        handle.close()
        assert not home.postgres_processes()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)


def test_a_forked_child_that_outlives_its_killed_parent_is_no_user(home: Home) -> None:
    parent = home.client()
    child = int(parent.ask("fork"))
    parent.kill()
    try:
        cluster.start(home.path, fsync=False).close()
        assert not home.postgres_processes()
    finally:
        os.kill(child, signal.SIGKILL)


def test_eight_processes_start_and_stop_at_once(empty_home: Home) -> None:
    for _ in range(2):
        clients = [empty_home.client(wait=False) for _ in range(8)]
        assert {client.answer() for client in clients} == {"ready"}
        assert clients[0].ask("sql SELECT 1") == "(1,)"
        for client in clients:
            client.tell("close")
        assert {client.answer() for client in clients} == {"done"}
        assert not empty_home.postgres_processes()
        assert {client.end() for client in clients} == {0}


def test_a_storm_of_kills_loses_nothing_and_leaves_nothing(own_home: Home) -> None:
    dice = random.Random(5)
    with cluster.start(own_home.path, fsync=False) as handle, psycopg.connect(handle.dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS storm; CREATE TABLE storm (n int PRIMARY KEY)")
    committed = set()
    clients = [own_home.client(wait=False) for _ in range(3)]
    for number in range(18):
        client = clients[number % 3]
        deed = dice.choice(["kill client", "kill server", "close", "kill while starting"])
        if deed == "kill while starting":
            own_home.client(wait=False).kill()
        elif client.answer() == "ready" and client.ask("ensure") == "done":
            if client.ask(f"sql INSERT INTO storm VALUES ({number})") == "done":
                committed.add(number)
            if deed == "kill server" and (record := own_home.running()):
                record.process.send(signal.SIGKILL)
            elif deed == "kill client":
                client.kill()
            elif deed == "close":
                client.ask("close")
        if deed != "kill while starting":
            clients[number % 3] = own_home.client(wait=False)
    for client in own_home.clients:
        client.kill()
    with cluster.start(own_home.path, fsync=False) as handle, psycopg.connect(handle.dsn) as connection:
        assert {row[0] for row in connection.execute("SELECT n FROM storm")} == committed
    assert len(committed) > 8
    assert not own_home.postgres_processes()


def test_a_process_that_hangs_while_it_decides_is_told_of(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "DECIDE_SECONDS", 0.2)
    with (home.path / "postgres" / "start.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DatabaseError, match=r"start\.lock"):
            cluster.start(home.path, fsync=False)


def test_a_folder_in_use_on_another_machine_is_left_alone(own_home: Home) -> None:
    record = own_home.path / "postgres" / "running.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"boot": "another"}))
    with (own_home.path / "postgres" / "users.lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(DatabaseError, match="another machine"):
            cluster.start(own_home.path, fsync=False)
    assert not own_home.postgres_processes()
    cluster.start(own_home.path, fsync=False).close()


def test_a_start_that_fails_leaves_no_user_behind(own_home: Home) -> None:
    config = own_home.data / "postgresql.auto.conf"
    config.write_text("nonsense = 1\n")
    with pytest.raises(DatabaseError):
        cluster.start(own_home.path, fsync=False)
    config.write_text("")
    other = own_home.client()
    other.ask("close")
    assert not own_home.postgres_processes()


def test_a_removed_folder_does_not_keep_its_server(own_home: Home) -> None:
    with cluster.start(own_home.path, fsync=False):
        server = own_home.server()
        shutil.rmtree(own_home.path / "postgres")
    assert not server.is_alive()
