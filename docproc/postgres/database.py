"""Connections to Postgres: a small pool, transactions, and database errors told in docproc's words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout

from docproc.errors import DatabaseError

if TYPE_CHECKING:
    from psycopg import Connection

    Row = dict[str, Any]
    Conn = Connection[Row]

POOL_SIZE = 6
"""Connections a process holds at most: stages spend their time at the APIs, not in the database."""

CONNECT_TIMEOUT = 10.0

_NOT_SET_UP = ("3F000", "42P01", "42883")  # no schema, table or function
_FULL_OR_AWAY = ("53", "57P", "08", "58")  # classes: resources, shutdown, connection, system


@cache
def query(name: str) -> bytes:
    """The statement in ``queries/{name}.sql``."""
    return (files("docproc.postgres") / "queries" / f"{name}.sql").read_bytes()


class Database:
    """A database by its conninfo; connects at the first use."""

    def __init__(self, conninfo: str) -> None:
        self.conninfo = conninfo
        self._pool: ConnectionPool[Conn] | None = None
        self._with_vectors: WeakSet[Conn] = WeakSet()

    @property
    def address(self) -> str:
        """Where it is, without password: ``user@host:port/name``."""
        return describe(self.conninfo)

    def close(self) -> None:
        """Closes every connection."""
        if self._pool is not None:
            self._pool.close()

    @contextmanager
    def transaction(self) -> Iterator[Conn]:
        """A connection inside a transaction: committed at the end, rolled back on an exception.

        Raises DatabaseError where the database is the trouble.
        """
        try:
            with self._opened().connection() as conn:
                yield conn
        except PoolTimeout:
            raise unreachable(self.conninfo, "no connection within 10 s") from None
        except psycopg.Error as error:
            raise in_our_words(error, self.conninfo) from error

    def rows(self, name: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """Runs one statement in a transaction of its own and returns its rows."""
        with self.transaction() as conn:
            return conn.execute(query(name), values).fetchall()

    def run(self, name: str, values: Mapping[str, object] | None = None) -> int:
        """Runs one statement in a transaction of its own and returns the number of rows it changed."""
        with self.transaction() as conn:
            return conn.execute(query(name), values).rowcount

    def know_vectors(self, conn: Conn) -> None:
        """Teaches ``conn`` the type ``vector``, once."""
        if conn not in self._with_vectors:
            from pgvector.psycopg import register_vector

            register_vector(conn)
            self._with_vectors.add(conn)

    def _opened(self) -> ConnectionPool[Conn]:
        if self._pool is None:
            # Connecting once by hand tells at once what the pool would only log and try again until its timeout.
            with connect(self.conninfo):
                pass
            self._pool = ConnectionPool(
                self.conninfo,
                min_size=1,
                max_size=POOL_SIZE,
                timeout=CONNECT_TIMEOUT,
                kwargs=_KWARGS,
                open=True,
            )
        return self._pool


# Prepared statements are off because poolers in transaction mode hand the next statement to another server connection.
_KWARGS: dict[str, Any] = {
    "row_factory": dict_row,
    "prepare_threshold": None,
    "connect_timeout": 10,
    "application_name": "docproc",
}


def connect(conninfo: str) -> Conn:
    """One connection, not autocommitting. Raises DatabaseError when the server does not let us in."""
    try:
        return psycopg.connect(conninfo, **_KWARGS)
    except psycopg.OperationalError as error:
        raise unreachable(conninfo, _first_line(error)) from None
    except psycopg.ProgrammingError as error:
        raise DatabaseError(
            "database.unreachable",
            "DATABASE_URL is not a Postgres address",
            why=_first_line(error).split('"')[0].strip(),
        ) from None


def describe(conninfo: str) -> str:
    """``user@host:port/name`` of a conninfo, without its password."""
    parts = conninfo_to_dict(conninfo)
    host = str(parts.get("host") or "local socket")
    if host.startswith("/"):
        host = "embedded" if "passfile" in parts else "local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"{parts.get('user') or 'default user'}@{host}{port}/{parts.get('dbname') or ''}"


def unreachable(conninfo: str, why: str) -> DatabaseError:
    """The error for a server that does not answer or does not let us in."""
    return DatabaseError("database.unreachable", f"cannot reach the database {describe(conninfo)}", why=why)


def in_our_words(error: psycopg.Error, conninfo: str) -> Exception:
    """A DatabaseError where the database as a whole is the trouble, else the error itself, for the caller to judge."""
    state = error.sqlstate or ""
    if state in _NOT_SET_UP:
        return DatabaseError("database.not_set_up", "the database is not set up for docproc", why=_first_line(error))
    if state.startswith(_FULL_OR_AWAY) or (not state and isinstance(error, psycopg.OperationalError)):
        return unreachable(conninfo, _first_line(error))
    return error


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
