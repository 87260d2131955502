"""Connections to Postgres: a small pool, transactions, and database errors told in docproc's words."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Self, TypeVar
from weakref import WeakSet

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool, PoolTimeout
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from docproc import faultpoints
from docproc.errors import DatabaseError
from docproc.http import IMPORTING
from docproc.redaction import words_of

if TYPE_CHECKING:
    from psycopg import Connection

    Row = dict[str, Any]
    Conn = Connection[Row]

log = logging.getLogger(__name__)

POOL_SIZE = 6
"""Connections a process holds at most: stages spend their time at the APIs, not in the database."""

CONNECT_TIMEOUT = 10.0

PATIENCE = 60.0
"""Seconds for which a database that went away is waited for."""

_NOT_SET_UP = ("3F000", "42P01", "42883")  # no schema, table or function
_PASSING = ("25006", "57P", "08", "53300", "40001", "40P01", "55P03")
"""Beginnings of SQLSTATEs that pass: read-only, shutdown, connection, too many, serialisation, deadlock, lock."""

_FULL = ("53", "58")  # no room or memory, a system error: nothing that another try now would mend

T = TypeVar("T")


class PassingError(DatabaseError):
    """The database is the trouble, and likely only for the moment."""

    @classmethod
    def unreachable(cls, conninfo: str, why: str) -> PassingError:
        """The error for a server that does not answer or does not let us in."""
        return cls("database.unreachable", f"cannot reach the database {describe(conninfo)}", why=why)


@cache
def query(name: str) -> bytes:
    """The statement in ``queries/{name}.sql``."""
    return (files("docproc.postgres") / "queries" / f"{name}.sql").read_bytes()


class Database:
    """A database by its conninfo; connects at the first use, and again when the server comes back.

    ``revive`` is asked for the conninfo before every new try: it can start a local server that has died.
    """

    def __init__(self, conninfo: str, *, patience: float = PATIENCE, revive: Callable[[], str] | None = None) -> None:
        self.conninfo = conninfo
        self._patience = patience
        self._revive = revive
        self._pool: ConnectionPool[Conn] | None = None
        self._opening = threading.Lock()
        self._with_vectors: WeakSet[Conn] = WeakSet()

    @property
    def address(self) -> str:
        """Where it is, without password: ``user@host:port/name``."""
        return describe(self.conninfo)

    def close(self) -> None:
        """Closes every connection."""
        if self._pool is not None:
            self._pool.close()

    def attempt(self, work: Callable[[Conn], T]) -> T:
        """Runs ``work`` in a transaction, and again when the server went away or refused for the moment.

        ``work`` must bear being run twice: when the connection breaks during COMMIT nobody knows whether it took place.
        Raises DatabaseError when the database is the trouble and stays so for longer than ``patience``.
        """
        tries = Retrying(
            retry=retry_if_exception_type(PassingError),
            wait=wait_random_exponential(multiplier=0.1, max=5),
            stop=stop_after_delay(self._patience),
            reraise=True,
        )
        for this in tries:
            with this:
                if this.retry_state.attempt_number > 1:
                    log.info("the database is tried again", extra={"tries": this.retry_state.attempt_number})
                    self._come_back()
                with self.transaction() as conn:
                    return work(conn)
        raise AssertionError("a try ends in a result or an exception")

    @contextmanager
    def transaction(self) -> Iterator[Conn]:
        """A connection inside a transaction: committed at the end, rolled back on an exception; tried once.

        Raises DatabaseError where the database is the trouble.
        """
        try:
            with self._opened().connection() as conn:
                yield conn
                faultpoints.reach("database.statement", "COMMIT")
            faultpoints.reach("database.committed")
        except PoolTimeout:
            raise PassingError.unreachable(self.conninfo, "no connection within 10 s") from None
        except psycopg.Error as error:
            raise in_our_words(error, self.conninfo) from error

    def rows(self, name: str, values: Mapping[str, object] | None = None) -> list[Row]:
        """Runs one statement in a transaction of its own and returns its rows."""
        return self.attempt(lambda conn: conn.execute(query(name), values).fetchall())

    def run(self, name: str, values: Mapping[str, object] | None = None) -> int:
        """Runs one statement in a transaction of its own and returns the number of rows it changed."""
        return self.attempt(lambda conn: conn.execute(query(name), values).rowcount)

    def know_vectors(self, conn: Conn) -> None:
        """Teaches ``conn`` the type ``vector``, once."""
        if conn not in self._with_vectors:
            with IMPORTING:
                from pgvector.psycopg import register_vector

            register_vector(conn)
            self._with_vectors.add(conn)

    def _opened(self) -> ConnectionPool[Conn]:
        with self._opening:
            if self._pool is None:
                # By hand first: that tells at once what the pool would only log and try again until its timeout.
                connect(self.conninfo).close()
                self._pool = ConnectionPool(
                    self.conninfo, min_size=1, max_size=POOL_SIZE, timeout=CONNECT_TIMEOUT, kwargs=_KWARGS, open=True
                )
            return self._pool

    def _come_back(self) -> None:
        """Before a new try: finds the server again, and lets go of the connections that broke with the old one."""
        with self._opening:
            conninfo = self._revive() if self._revive else self.conninfo
            if self._pool is not None and conninfo != self.conninfo:
                self._pool.close()
                self._pool = None
            self.conninfo = conninfo
            if self._pool is not None:
                self._pool.check()


class _MortalCursor(psycopg.Cursor["Row"]):
    """Lets a test have the process die before any statement; in use only when one asked for it."""

    def execute(self, query: Any, *values: Any, **options: Any) -> Self:
        faultpoints.reach("database.statement", _names().get(query, ""))
        return super().execute(query, *values, **options)

    def copy(self, statement: Any, *values: Any, **options: Any) -> Any:
        faultpoints.reach("database.statement", _names().get(statement, ""))
        return super().copy(statement, *values, **options)


@cache
def _names() -> dict[object, str]:
    return {file.read_bytes(): file.name for file in (files("docproc.postgres") / "queries").iterdir()}


# Prepared statements are off because poolers in transaction mode hand the next statement to another server connection.
_KWARGS: dict[str, Any] = {
    "row_factory": dict_row,
    "prepare_threshold": None,
    "connect_timeout": 10,
    "application_name": "docproc",
    # A host that was cut off says nothing: without these a thread would wait for its answer for hours.
    "keepalives_idle": 20,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 40_000,
    **({"cursor_factory": _MortalCursor} if faultpoints.is_wanted("database.statement") else {}),
}


def connect(conninfo: str) -> Conn:
    """One connection, not autocommitting. Raises DatabaseError when the server does not let us in."""
    try:
        return psycopg.connect(conninfo, **_KWARGS)
    except psycopg.OperationalError as error:
        raise DatabaseError(
            "database.unreachable", f"cannot reach the database {describe(conninfo)}", why=words_of(error)
        ) from None
    except psycopg.ProgrammingError as error:
        raise DatabaseError(
            "database.unreachable",
            "DATABASE_URL is not a Postgres address",
            why=words_of(error).split('"')[0].strip(),
        ) from None


def describe(conninfo: str) -> str:
    """``user@host:port/name`` of a conninfo, without its password."""
    parts = conninfo_to_dict(conninfo)
    host = str(parts.get("host") or "local socket")
    if host.startswith("/"):
        host = "embedded" if "passfile" in parts else "local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"{parts.get('user') or 'default user'}@{host}{port}/{parts.get('dbname') or ''}"


def in_our_words(error: psycopg.Error, conninfo: str) -> Exception:
    """A DatabaseError where the database as a whole is the trouble, else the error itself, for the caller to judge."""
    state, why = error.sqlstate or "", words_of(error) or type(error).__name__
    if state in _NOT_SET_UP:
        return DatabaseError("database.not_set_up", "the database is not set up for docproc", why=why)
    if state.startswith(_PASSING) or (not state and isinstance(error, psycopg.OperationalError)):
        return PassingError.unreachable(conninfo, why)
    if state.startswith(_FULL):
        return DatabaseError("database.full", f"the database {describe(conninfo)} has no room", why=why)
    return error
