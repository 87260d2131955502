"""Each sabotage that a person has to mend turns its own check red and no other, and the check says what to do."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import responses
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from docproc import checks, tokens
from docproc.checks import Thresholds
from docproc.settings import Secret
from tests.integration.sabotage import Damage, Site, setting, sql
from tests.integration.test_checks_sabotage import OTHERS, SCHEMA

SUPABASE = "https://project.supabase.test"


def proxied(site: Site, *, host: str, sslmode: str, change: Callable[[bytes], bytes] = bytes) -> None:
    """Puts a proxy before the server, so that its address seems to be ``host``; ``change`` works on its answers."""
    parts = conninfo_to_dict(site.server)
    target = f"{parts['host']}/.s.PGSQL.{parts['port']}"
    listener = site.kept.enter_context(socket.create_server(("127.0.0.1", 0)))

    def pump(source: socket.socket, sink: socket.socket, through: Callable[[bytes], bytes]) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(through(data))
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(target)
                site.kept.callback(client.close)
                site.kept.callback(server.close)
                threading.Thread(target=pump, args=(client, server, bytes), daemon=True).start()
                threading.Thread(target=pump, args=(server, client, change), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    conninfo = make_conninfo(
        site.conninfo, host=host, hostaddr="127.0.0.1", port=port, sslmode=sslmode, gssencmode="disable"
    )
    site.change("secrets", database_url=Secret(conninfo))


def another_pid(answer: bytes) -> bytes:
    """The server's answer with another process number, as a pooler gives it."""
    at = answer.find(b"K\0\0\0\x0c")
    return answer if at < 0 else answer[: at + 5] + b"\0\0\0\7" + answer[at + 9 :]


def plain_text(site: Site) -> None:
    proxied(site, host="db.example.test", sslmode="prefer")


def pooler(site: Site) -> None:
    proxied(site, host="127.0.0.1", sslmode="disable", change=another_pid)


def unreachable(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    site.change("secrets", database_url=Secret(f"postgresql://u:hunter2@127.0.0.1:{port}/d"))


def real(site: Site, **secrets: str) -> None:
    """Real services, which are at the mocks' address."""
    address = site.settings.mocks.address
    told = {"llama_cloud_api_key": "any", "openai_api_key": "any", **secrets}
    told |= {"llama_cloud_base_url": address, "openai_base_url": f"{address}/v1"}
    site.change("secrets", **{name: Secret(value) if value else None for name, value in told.items()})
    site.change("parser", service="real")
    site.change("embedder", service="real")


def supabase(site: Site, status: int, body: dict[str, Any]) -> None:
    """A storage at Supabase that answers so when it is asked for the bucket."""
    site.change("secrets", supabase_url=Secret(SUPABASE), supabase_service_role_key=Secret("key"))
    site.change("storage", backend="supabase", bucket="papers")
    mock = site.kept.enter_context(responses.RequestsMock(assert_all_requests_are_fired=False))
    mock.get(f"{SUPABASE}/storage/v1/bucket/papers", status=status, json=body)


def no_vocabulary(site: Site) -> None:
    kept = tokens.VOCABULARY
    tokens.VOCABULARY = kept.with_name("gone.tiktoken")
    tokens.encoding.cache_clear()

    def restore() -> None:
        tokens.VOCABULARY = kept
        tokens.encoding.cache_clear()

    site.kept.callback(restore)


def file_as_home(site: Site) -> None:
    site.settings.home.write_text("not a folder")


def ahead(site: Site) -> None:
    site.clock = lambda: time.time() + 60


def full_disk(site: Site) -> None:
    site.thresholds = Thresholds(free_bytes=1 << 60)


NO_BUCKET = {"statusCode": "404", "error": "Bucket not found", "message": "Bucket not found"}
REFUSED = {"statusCode": "403", "error": "Unauthorized", "message": "jwt expired"}
VECTOR_INDEX = "docproc.vector_index('text-embedding-3-small', 'd1536-f1', 'hnsw')"

BY_HAND: list[tuple[str, str, Damage]] = [
    ("a dropped table", "schema.tables", sql("DROP TABLE docproc.index_builds")),
    ("a column of another type", "schema.columns", sql("ALTER TABLE docproc.runs ALTER exit_code TYPE bigint")),
    ("a stranger's table", "schema.extras", sql("CREATE TABLE docproc.guests (name text)")),
    (
        "a migration that is not known",
        "schema.known",
        sql("INSERT INTO docproc.schema_migrations VALUES (99, 'new', 'x')"),
    ),
    (
        "an edited migration",
        "schema.unedited",
        sql("UPDATE docproc.schema_migrations SET checksum = 'edited' WHERE version = 1"),
    ),
    ("no pgvector", "extension.installed", sql("DROP EXTENSION vector CASCADE")),
    (
        "half a pgvector",
        "extension.whole",
        sql("ALTER EXTENSION vector DROP FUNCTION vector_dims(vector)", "DROP FUNCTION vector_dims(vector)"),
    ),
    ("documents of real services", "data.kind", sql("INSERT INTO docproc.installation VALUES (true, 'real', 'mock')")),
    (
        "documents of another model",
        "data.model",
        sql("INSERT INTO docproc.serving VALUES ('default', 'text-embedding-3-large', 'd3072-f1')"),
    ),
    (
        "an index left unfinished",
        "data.index",
        sql(
            f"DO $$ BEGIN EXECUTE (SELECT replace(statement, 'CONCURRENTLY', '') FROM {VECTOR_INDEX});"
            " UPDATE pg_index SET indisvalid = false"
            f" WHERE indexrelid = (SELECT 'docproc.' || name FROM {VECTOR_INDEX})::regclass; END $$"
        ),
    ),
    ("a connection in the clear", "database.tls", plain_text),
    ("a pooler", "database.pooler", pooler),
    ("a dead server", "database.reachable", unreachable),
    ("a clock that is wrong", "database.clock", ahead),
    ("a parser's key that is refused", "parser.key", lambda site: real(site, llama_cloud_api_key="bad-secret")),
    ("an embedder's key that is refused", "embedder.key", lambda site: real(site, openai_api_key="bad-secret")),
    ("no parser's key", "parser.configured", lambda site: real(site, llama_cloud_api_key="")),
    ("no embedder's key", "embedder.configured", lambda site: real(site, openai_api_key="")),
    ("a version that is not offered", "parser.version", setting("parser", version="1999-01-01")),
    ("a model that is not known", "embedder.model", setting("embedder", model="text-embedding-9")),
    ("too many dimensions", "configuration.dimensions", setting("embedder", dimensions=3072)),
    ("a chunker that is gone", "configuration.sense", setting("chunker", name="gone@1")),
    ("calls longer than the lease", "configuration.sense", setting("embedder", timeout=130.0)),
    ("a slow heartbeat", "configuration.sense", setting("runner", heartbeat=60.0, lease=120.0)),
    ("no vocabulary", "tokenizer.offline", no_vocabulary),
    ("a home that is a file", "environment.home", file_as_home),
    ("a full disk", "environment.disk", full_disk),
    ("no storage key", "storage.configured", setting("storage", backend="supabase")),
    ("a storage key that is refused", "storage.key", lambda site: supabase(site, 400, REFUSED)),
    ("a bucket that is missing", "storage.bucket", lambda site: supabase(site, 400, NO_BUCKET)),
    ("a bucket open to all", "storage.private", lambda site: supabase(site, 200, {"id": "papers", "public": True})),
]
"""Those that a person has to mend."""


@pytest.mark.parametrize(("id_", "damage"), [case[1:] for case in BY_HAND], ids=[case[0] for case in BY_HAND])
def test_a_sabotage_turns_its_own_check_red_and_says_what_to_do(site: Site, id_: str, damage: Damage) -> None:
    damage(site)
    red = site.red()
    assert set(red) == {id_}, {id_: result.finding for id_, result in red.items()}
    assert red[id_].remedy
    assert not [secret for secret in ("bad-secret", "hunter2") if secret in str(red[id_])]


def test_a_clean_deployment_has_none(site: Site) -> None:
    assert site.red() == {}


def test_every_check_has_a_sabotage() -> None:
    spoiled = {case[1] for case in SCHEMA + OTHERS + BY_HAND}
    # Not obtainable here: another Python, an old server, a model of more than 4,000 dimensions.
    elsewhere = {"environment.python", "database.version", "configuration.index", "configuration.prices"}
    assert spoiled == {check.id for check in checks.every()} - elsewhere
