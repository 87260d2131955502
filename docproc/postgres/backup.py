"""A backup of docproc's schema by pg_dump, checked by pg_restore; the password is in neither's arguments."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from psycopg import pq
from psycopg.conninfo import conninfo_to_dict

from docproc.errors import ConfigError, DatabaseError
from docproc.postgres.database import Database


def dump(database: Database, file: Path) -> str:
    """Writes the schema ``docproc`` with its data to ``file``, whole or not at all; says how large it is.

    Raises ConfigError when ``file`` exists or no pg_dump is new enough, DatabaseError when pg_dump fails.
    """
    if file.exists():
        raise ConfigError("config.invalid", f"{file} exists", why="a backup is never overwritten", try_="name another")
    folder = _tools(int(database.rows("server_facts")[0]["number"]) // 10_000)
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        told = ["--format=custom", "--schema=docproc", "--no-password", f"--file={draft}"]
        _run([str(folder / "pg_dump"), *told], database.conninfo)
        _run([str(folder / "pg_restore"), "--list", str(draft)], database.conninfo)
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        draft.replace(file)
    except OSError as error:
        raise ConfigError("config.invalid", f"cannot write {file}", why=error.strerror or str(error)) from None
    finally:
        draft.unlink(missing_ok=True)
    return f"{file}, {file.stat().st_size / 1e6:.1f} MB; back with: pg_restore --clean --if-exists --dbname=… {file}"


def _tools(server: int) -> Path:
    """The folder of a pg_dump that is no older than the server."""
    from docproc.local import cluster

    on_path = shutil.which("pg_dump")
    folders = [Path(on_path).parent] if on_path else []
    try:
        folders.append(cluster.binaries())
    except DatabaseError:
        if not folders:
            raise ConfigError(
                "config.missing", "there is no pg_dump", try_="install Postgres' client programs, or docproc[local]"
            ) from None
    for folder in folders:
        if (folder / "pg_dump").is_file() and (folder / "pg_restore").is_file() and _major(folder) >= server:
            return folder
    raise ConfigError(
        "config.invalid",
        f"no pg_dump is new enough for a server of version {server}",
        why=f"looked in {', '.join(map(str, folders))}",
        try_=f"install the client programs of Postgres {server}",
    )


def _major(folder: Path) -> int:
    # The path comes from PATH or from the package.
    ran = subprocess.run([str(folder / "pg_dump"), "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"(\d+)[.\d]*\s*(?:\(.*\))?$", ran.stdout.strip())
    return int(found[1]) if found else 0


def _run(words: list[str], conninfo: str) -> None:
    # No shell, and nothing in the words that a user typed but the name of a file.
    done = subprocess.run(words, env=libpq_environment(conninfo), capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        why = (done.stderr.strip().splitlines() or [f"exit {done.returncode}"])[0]
        raise DatabaseError("database.backup", f"{Path(words[0]).name} failed; there is no backup", why=why)


def libpq_environment(conninfo: str) -> dict[str, str]:
    """The environment in which libpq's programs find the database that ``conninfo`` names, and no other.

    No key of the user's is in it.
    """
    from docproc.local import processes

    names = {option.keyword.decode(): option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}
    told = {names[key]: str(value) for key, value in conninfo_to_dict(conninfo).items() if key in names and value != ""}
    kerberos = {name: value for name, value in os.environ.items() if name.startswith("KRB5")}
    return processes.environment(**kerberos, **told)
