"""What can be told of a database without a look at its rows: where it is, what runs there, which schema it has."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.conninfo import conninfo_to_dict

from docproc.errors import DatabaseError
from docproc.postgres import migrations
from docproc.postgres.database import Database, query
from docproc.redaction import words_of

SECONDS = 15.0
"""How long the server may take for a question, locks included."""

_PARTS = {"host": "host", "port": "port", "dbname": "database", "user": "user", "sslmode": "sslmode"}


@dataclass(frozen=True, slots=True)
class Facts:
    """Versions of the server and of pgvector (None where it is not in the database), and the schema's."""

    server: str
    pgvector: str | None
    schema_version: int
    schema_fingerprint: str


def parts(conninfo: str) -> dict[str, str]:
    """``host``, ``port``, ``database``, ``user`` and ``sslmode`` of a conninfo, as far as it names them; no password.

    Nothing for a text that is no address of a Postgres.
    """
    try:
        told = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        return {}
    return {name: str(told[key]) for key, name in _PARTS.items() if told.get(key)}


def facts(database: Database) -> Facts:
    """Asks the server, in transactions that only read. Raises DatabaseError where it does not answer or allow it."""
    try:
        with database.transaction() as conn:
            conn.execute(query("only_read"), {"milliseconds": str(int(SECONDS * 1000))})
            server = conn.execute(query("server_facts")).fetchone()
            extension = conn.execute(query("extension_facts")).fetchone()
        assert server is not None
        pgvector = extension["installed"] if extension else None
        return Facts(server["version"], pgvector, migrations.version(database), migrations.fingerprint(database))
    except psycopg.Error as error:
        raise DatabaseError("database.rights", f"{database.address} cannot be looked at", why=words_of(error)) from None
