"""Looks at an environment: its settings, its libraries, and its database by statements that only read."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata
from typing import TYPE_CHECKING

from docproc import __version__
from docproc.drift import Environment, Part
from docproc.drift.values import Known, secrets, values
from docproc.errors import DocprocError, SchemaError

if TYPE_CHECKING:
    from docproc.app import App
    from docproc.postgres.facts import Facts

LIBRARIES = ("llama-cloud", "openai", "pgvector", "psycopg", "tiktoken")
"""Those whose version can change what docproc sends, gets or counts."""

OF_THE_DATABASE = ("postgres", "pgvector")
"""Versions that only the database tells; those of the libraries begin with ``library.``."""


def observe(app: App) -> Environment:
    """What ``app`` is made of. A database that cannot be asked is told in ``trouble``.

    The embedded database is started and migrated, as wherever it is used.
    """
    settings = app.settings
    told = _versions()
    schema: dict[str, object] = {}
    trouble: DocprocError | None = None
    place: tuple[str, ...] = ()
    try:
        found, place = _facts(app)
        told |= {"postgres": found.server, "pgvector": found.pgvector}
        schema = {"version": found.schema_version, "fingerprint": found.schema_fingerprint}
    except DocprocError as error:
        trouble = error
    return Environment(
        profile=settings.profile,
        configuration={value.key: value.value for value in values(settings)},
        secrets={secret.name: _told(secret) for secret in secrets(settings)},
        versions=told,
        schema=schema,
        trouble=trouble,
        place=place,
    )


def _facts(app: App) -> tuple[Facts, tuple[str, ...]]:
    from docproc.postgres import migrations
    from docproc.postgres.facts import facts, parts

    if app.embedded:
        with suppress(SchemaError):  # its fingerprint tells that it is not as it should be
            migrations.migrate(app.database)
    where = parts(app.database.conninfo)
    return facts(app.database), tuple(where.get(part, "") for part in ("host", "port", "database"))


def _told(secret: Known) -> Part | None:
    return {"fingerprint": secret.fingerprint, **secret.leads_to} if secret.fingerprint else None


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"docproc": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[f"library.{name}"] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[f"library.{name}"] = None
    return found
