"""Creates the local database's data folder in one step: whoever finds it finds it whole."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from docproc.errors import DatabaseError
from docproc.local import processes
from docproc.local.accounts import Account

NAME = "docproc"
"""Of the role, which owns the cluster, and of the database."""

PASSFILE = "docproc.pgpass"
CREATE_SECONDS = 120.0


def create(data: Path, account: Account, binaries: Path, *, fsync: bool) -> None:
    """Makes ``data`` with the role and the database ``docproc`` and, in ``PASSFILE``, the role's password.

    It grows under the name ``init-PID`` and is renamed at the end. Only with the service's lock held: what other
    processes left of that kind is removed. Raises DatabaseError ``database.local_start``.
    """
    for leftover in data.parent.glob("init-*"):
        # What an orphan of a killed process still writes there is removed the next time.
        shutil.rmtree(leftover, ignore_errors=True)
    draft = data.with_name(f"init-{os.getpid()}")
    sync = () if fsync else ("--no-sync",)
    form = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions", f"--username={NAME}")
    _run(account, [str(binaries / "initdb"), f"--pgdata={draft}", *form, *sync])
    password = secrets.token_urlsafe(24)
    (draft / "pg_hba.conf").write_text("local all all scram-sha-256\n", encoding="ascii")
    _write_private(draft / PASSFILE, f"*:*:*:{NAME}:{password}\n")
    # A server for one user, fed by standard input: no moment without a password, and none in argv.
    settings = (
        "-c",
        f"fsync={'on' if fsync else 'off'}",
        "-c",
        "exit_on_error=on",
        "-c",
        "log_min_error_statement=panic",
    )
    statements = f"ALTER ROLE {NAME} PASSWORD '{password}'\nCREATE DATABASE {NAME}\n"
    _run(account, [str(binaries / "postgres"), "--single", "-D", str(draft), *settings, "postgres"], statements)
    draft.rename(data)


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _run(account: Account, command: Sequence[str], standard_input: str = "") -> None:
    try:
        answer = subprocess.run(  # noqa: S603
            [*account.prefix, *command],
            input=standard_input,
            env=processes.environment(LC_ALL="C"),
            capture_output=True,
            text=True,
            check=False,
            timeout=CREATE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise _error(f"{Path(command[0]).name} took more than {CREATE_SECONDS:.0f} s") from None
    if answer.returncode != 0:
        raise _error("; ".join((answer.stderr.strip() or answer.stdout.strip()).splitlines()))


def _error(why: str) -> DatabaseError:
    return DatabaseError(
        "database.local_start",
        "the local database cannot be created",
        why=why,
        try_="make room or choose another folder with DOCPROC_HOME, or set DATABASE_URL to a server of your own",
    )
