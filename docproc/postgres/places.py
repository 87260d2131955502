"""Tells databases apart by their addresses."""

from __future__ import annotations

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from docproc.errors import ConfigError

PORT = "5432"


def place(conninfo: str) -> str:
    """``host:port/name`` of a database, whoever asks for it. Raises ConfigError for what is no conninfo."""
    try:
        parts = conninfo_to_dict(conninfo)
    except ProgrammingError:
        raise ConfigError("config.invalid", "DATABASE_URL is not a Postgres address") from None
    host = str(parts.get("hostaddr") or parts.get("host") or "local socket").lower()
    return f"{host}:{parts.get('port') or PORT}/{parts.get('dbname') or parts.get('user') or ''}"
