"""Finds a user as whom Postgres runs: it refuses root, and we create no users and open no folders to others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from docproc.errors import DatabaseError
from docproc.local import processes

NOBODY = 65534
"""The overflow uid and gid of Linux, which every distribution gives to nobody."""

# Real accesses, because the shell's test -w looks at other ids than open does.
_PROBE = 'cd "$1" && : >"probe.$$" && rm "probe.$$" && "$2" --version'


@dataclass(frozen=True, slots=True)
class Account:
    """``prefix`` is put before a command so that it runs as this account; its files belong to ``uid`` and ``gid``."""

    prefix: tuple[str, ...]
    uid: int
    gid: int


def _namespace() -> Account:
    """A user namespace in which root is called nobody: files still belong to root, but no privilege is left."""
    return Account(("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--"), 0, 0)


def _other_user(uid: int, gid: int) -> Account:
    """Another uid that keeps one privilege of root's: to pass through folders which are closed to it."""
    ids = (f"--reuid={uid}", f"--regid={gid}", "--clear-groups")
    return Account(("setpriv", *ids, "--inh-caps=+dac_override", "--ambient-caps=+dac_override", "--"), uid, gid)


def choose(folder: Path, data: Path, postgres: Path) -> Account:
    """The account that ``postgres`` can run as with its data in ``folder / data``.

    An ordinary user runs it himself. Root uses a user namespace, else ``setpriv``; a data folder that belongs to
    another user is served as that user. Raises DatabaseError ``database.local_start`` when nothing works.
    """
    if os.geteuid() != 0:
        return Account((), os.geteuid(), os.getegid())
    owner = data.stat() if data.exists() else None
    refusals = []
    for account in _candidates(owner):
        refusal = _refusal(account, folder, postgres)
        if not refusal:
            if owner and owner.st_uid != account.uid:
                _give(data, account)
            return account
        refusals.append(refusal)
    raise DatabaseError(
        "database.local_start",
        "the local database cannot be started as root",
        why="Postgres refuses to run as root, and " + "; ".join(refusals),
        try_="run docproc as an ordinary user, allow it user namespaces, or set DATABASE_URL to a server of your own",
    )


def _candidates(owner: os.stat_result | None) -> Iterator[Account]:
    if owner and owner.st_uid != 0:
        yield _other_user(owner.st_uid, owner.st_gid)
    else:
        yield _namespace()
        yield _other_user(NOBODY, NOBODY)


def _refusal(account: Account, folder: Path, postgres: Path) -> str:
    """Why ``account`` can not write in ``folder`` and run ``postgres``; empty when it can."""
    command = [*account.prefix, "/bin/sh", "-c", _PROBE, "sh", str(folder), str(postgres)]
    try:
        answer = subprocess.run(  # noqa: S603
            command, env=processes.environment(LC_ALL="C"), capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return f"{account.prefix[0]} is not installed"
    if answer.returncode == 0:
        return ""
    return f"{account.prefix[0]}: {answer.stderr.strip() or f'exit code {answer.returncode}'}"


def _give(data: Path, account: Account) -> None:
    """Hands our own data folder to ``account``: the way that worked when it was made is closed now."""
    for path in (data, *data.rglob("*")):
        os.lchown(path, account.uid, account.gid)
