"""Root and ordinary users: as whom Postgres runs, and what neither of them may do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from docproc.errors import DatabaseError
from docproc.local import accounts, cluster

if TYPE_CHECKING:
    from tests.integration.local.conftest import Home

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")


def give_to_nobody(path: Path) -> None:
    os.chown(path, accounts.NOBODY, accounts.NOBODY)


def forbid(program: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program before the real one on PATH which refuses as a container may."""
    folder.mkdir(exist_ok=True)
    (folder / program).write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
    (folder / program).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def works(path: Path) -> bool:
    with cluster.start(path, fsync=False) as handle, psycopg.connect(handle.dsn) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


def test_an_ordinary_user_has_a_cluster_and_root_can_use_it_too(empty_home: Home) -> None:
    give_to_nobody(empty_home.path)
    user = empty_home.client(nobody=True)
    assert user.ask("sql SELECT 1") == "(1,)"
    root = empty_home.client()
    user.ask("close")
    assert root.ask("sql SELECT 1") == "(1,)"
    root.ask("close")
    assert not empty_home.postgres_processes()
    assert works(empty_home.path)
    assert empty_home.client(nobody=True).ask("sql SELECT 1") == "(1,)"
    assert empty_home.data.stat().st_uid == accounts.NOBODY


def test_an_ordinary_user_in_a_folder_of_root_gets_a_clear_error(home: Home) -> None:
    home.path.chmod(0o755)
    assert home.client(nobody=True, wait=False).answer().startswith("error database.local_start")


def test_root_works_in_a_folder_that_is_closed_to_all_but_another_user(empty_home: Home) -> None:
    give_to_nobody(empty_home.path)
    (empty_home.path / "root").mkdir(mode=0o700)
    before = empty_home.path.stat()
    assert works(empty_home.path / "root")
    after = empty_home.path.stat()
    assert (after.st_mode, after.st_uid) == (before.st_mode, before.st_uid)


def test_root_without_user_namespaces_uses_another_uid(empty_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid("unshare", empty_home.path / "bin", monkeypatch)
    assert works(empty_home.path)
    assert empty_home.data.stat().st_uid == accounts.NOBODY
    assert (empty_home.path / "postgres").stat().st_uid == 0


def test_data_made_in_a_user_namespace_live_on_without_one(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert works(own_home.path)
    forbid("unshare", own_home.path / "bin", monkeypatch)
    assert works(own_home.path)


def test_root_with_no_way_at_all_is_told_what_to_do(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("unshare", "setpriv"):
        forbid(program, tmp_path, monkeypatch)
    with pytest.raises(DatabaseError, match=r"unshare: Operation not permitted.*setpriv: Operation") as caught:
        cluster.start(home.path, fsync=False)
    assert "DATABASE_URL" in caught.value.remedy
