"""Each sabotage of a deployment turns its own check red and no other, and its remedy, pasted, turns it green again."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
import responses
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from docproc import checks, tokens
from docproc.app import App
from docproc.checks import Result, Thresholds
from docproc.checks.asking import run
from docproc.checks.database import WRITES
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.settings import Secret, Settings
from docproc.states import State
from tests.conftest import clone
from tests.integration.bench import Bench, bring
from tests.support import bare_environment, wait_until

SUPABASE = "https://project.supabase.test"
RIGHTS = (
    "GRANT USAGE ON SCHEMA docproc TO docproc_app",
    "GRANT SELECT ON ALL TABLES IN SCHEMA docproc TO docproc_app",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA docproc GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO docproc_app",
    *(f"GRANT {', '.join(what)} ON docproc.{table} TO docproc_app" for table, what in WRITES.items()),
)


@dataclass(slots=True)
class Site:
    """A deployment as in production: a database of its own, a role with the rights it needs, a home."""

    server: str
    settings: Settings
    conninfo: str = ""
    thresholds: Thresholds = field(default_factory=Thresholds)
    clock: Callable[[], float] = time.time
    kept: ExitStack = field(default_factory=ExitStack)
    touched: bool = False

    @property
    def admin(self) -> str:
        """The conninfo of whoever owns the database."""
        self.touched = True
        return make_conninfo(self.server, dbname=DATABASE)

    def sql(self, *statements: str) -> None:
        """Runs statements, each in a transaction of its own, as the owner."""
        with psycopg.connect(self.admin, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    def change(self, section: str, **values: object) -> None:
        """Changes settings of one section; ``secrets`` is one too."""
        changed = replace(getattr(self.settings, section), **values)
        self.settings = replace(self.settings, **{section: changed})

    def opened(self) -> App:
        """docproc, as the deployment runs it."""
        return App(self.settings)

    def red(self) -> dict[str, Result]:
        """What is not well."""
        with self.opened() as app:
            found = run(checks.Deployment(app, clock=self.clock, thresholds=self.thresholds), checks.every())
        assert all(result.finding.seen and result.expected for result in found if result.level != "skip")
        return {result.check.id: result for result in found if result.level in ("warn", "error")}

    def paste(self, remedy: str) -> None:
        """Does what the remedy says: SQL as the database's owner, a command in a shell."""
        remedy = remedy.removeprefix("run: ")
        if remedy.endswith(";"):
            self.sql(remedy)
            return
        words = shlex.split(remedy)
        if words[0] == "docproc":
            words = [sys.executable, "-m", *words]
        told = {"DATABASE_URL": self.admin, "DOCPROC_HOME": str(self.settings.home)}
        told["DOCPROC_MOCKS_ADDRESS"] = self.settings.mocks.address
        done = subprocess.run(
            words, env=bare_environment(**told), cwd=self.settings.home.parent, capture_output=True, check=False
        )
        assert done.returncode == 0, done


DATABASE = "sabotaged"


@pytest.fixture(scope="module")
def template(server: str, migrated: str) -> str:
    """A migrated database with the rights of a role that has no others."""
    conninfo = clone(server, "template_docproc", "template_checks")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("CREATE ROLE docproc_app LOGIN PASSWORD 'app'")
        for statement in RIGHTS:
            conn.execute(statement.encode())
    return "template_checks"


@pytest.fixture(scope="module")
def stale() -> list[str]:
    """Holds a word while the database is not known to be as the template is."""
    return ["not made yet"]


@pytest.fixture
def site(server: str, template: str, settings: Settings, stale: list[str]) -> Iterator[Site]:
    """A deployment in which all is well."""
    if stale:
        clone(server, template, DATABASE)
        stale.clear()
    conninfo = make_conninfo(server, dbname=DATABASE, user="docproc_app", password="app")
    made = Site(server, replace(settings, profile="production"), conninfo)
    made.change("secrets", database_url=Secret(conninfo))
    with made.kept:
        yield made
    if made.touched:
        stale.append("touched")
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("ALTER ROLE docproc_app NOSUPERUSER NOCREATEROLE")


Damage = Callable[[Site], object]


def sql(*statements: str) -> Damage:
    return lambda site: site.sql(*statements)


def setting(section: str, **values: object) -> Damage:
    return lambda site: site.change(section, **values)


SCHEMA: list[tuple[str, str, Damage]] = [
    ("a dropped index", "schema.indexes", sql("DROP INDEX docproc.upload_jobs_due")),
    (
        "an index on something else",
        "schema.indexes",
        sql(
            "DROP INDEX docproc.upload_jobs_by_status",
            "CREATE INDEX upload_jobs_by_status ON docproc.upload_jobs (source)",
        ),
    ),
    ("dropped statistics", "schema.indexes", sql("DROP STATISTICS docproc.document_chunk_buffer_version")),
    (
        "an invalid index",
        "schema.validity",
        sql("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'docproc.sources_by_document'::regclass"),
    ),
    ("a renamed column", "schema.columns", sql("ALTER TABLE docproc.upload_jobs RENAME COLUMN priority TO urgency")),
    ("a column that may be empty", "schema.columns", sql("ALTER TABLE docproc.upload_jobs ALTER source DROP NOT NULL")),
    ("a lost default", "schema.columns", sql("ALTER TABLE docproc.upload_jobs ALTER attempt DROP DEFAULT")),
    ("another default", "schema.columns", sql("ALTER TABLE docproc.runs ALTER summary SET DEFAULT '[]'")),
    (
        "a dropped check",
        "schema.constraints",
        sql("ALTER TABLE docproc.upload_jobs DROP CONSTRAINT upload_jobs_status_check"),
    ),
    (
        "a dropped foreign key",
        "schema.constraints",
        sql("ALTER TABLE docproc.sources DROP CONSTRAINT sources_live_job_id_fkey"),
    ),
    (
        "a constraint that was never validated",
        "schema.constraints",
        sql(
            "ALTER TABLE docproc.document_chunk_buffer DROP CONSTRAINT document_chunk_buffer_tokens_check,"
            " ADD CONSTRAINT document_chunk_buffer_tokens_check CHECK (tokens > 0) NOT VALID"
        ),
    ),
    (
        "a trigger switched off",
        "schema.triggers",
        sql("ALTER TABLE docproc.upload_jobs DISABLE TRIGGER upload_jobs_legal_moves"),
    ),
    ("a dropped trigger", "schema.triggers", sql("DROP TRIGGER upload_jobs_legal_moves ON docproc.upload_jobs")),
    (
        "a function that does nothing",
        "schema.functions",
        sql(
            "CREATE OR REPLACE FUNCTION docproc.refuse_illegal_move() RETURNS trigger LANGUAGE plpgsql"
            " AS $$BEGIN RETURN NEW; END$$"
        ),
    ),
    (
        "a dropped function",
        "schema.functions",
        sql("DROP FUNCTION docproc.search(vector, integer, text, text, text, text)"),
    ),
    (
        "a view of something else",
        "schema.views",
        sql(
            "CREATE OR REPLACE VIEW docproc.search_model AS"
            " SELECT user_id, embed_model, 'x'::text AS embed_version FROM docproc.serving"
        ),
    ),
    ("a move that is not allowed", "schema.moves", sql("DELETE FROM docproc.legal_moves WHERE source = 'uploaded'")),
    ("a move too many", "schema.moves", sql("INSERT INTO docproc.legal_moves VALUES ('complete', 'uploaded')")),
    ("rights that were taken", "database.readable", sql("REVOKE SELECT ON docproc.upload_jobs FROM docproc_app")),
    ("a closed schema", "database.readable", sql("REVOKE USAGE ON SCHEMA docproc FROM docproc_app")),
    (
        "a closed function",
        "database.readable",
        sql("REVOKE EXECUTE ON FUNCTION docproc.plain_words(text) FROM PUBLIC"),
    ),
    ("a role that cannot write", "database.writable", sql("REVOKE INSERT ON docproc.job_events FROM docproc_app")),
    ("no temporary tables", "database.writable", sql(f"REVOKE TEMPORARY ON DATABASE {DATABASE} FROM PUBLIC")),
    ("a superuser", "database.role", sql("ALTER ROLE docproc_app SUPERUSER")),
    ("a role that makes roles", "database.role", sql("ALTER ROLE docproc_app CREATEROLE")),
    (
        "a database set to read only",
        "database.primary",
        sql(f"ALTER DATABASE {DATABASE} SET default_transaction_read_only = on"),
    ),
    (
        "an old pgvector",
        "extension.version",
        sql("UPDATE pg_extension SET extversion = '0.8.3' WHERE extname = 'vector'"),
    ),
]
"""Those that SQL mends."""


def pending(site: Site) -> None:
    database = Database(site.admin)
    migrations.migrate(database, to=migrations.latest() - 1)
    database.close()


def idle(site: Site) -> None:
    conn = psycopg.connect(site.conninfo)
    site.kept.callback(conn.close)
    conn.execute("SELECT 1")
    site.thresholds = Thresholds(idle=1.0)
    old = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND state_change < clock_timestamp() - interval '1 s'"
    with psycopg.connect(site.admin, autocommit=True) as watch:
        wait_until(lambda: watch.execute(old, (conn.info.backend_pid,)).fetchone() is not None)


def dead_rows(site: Site) -> None:
    site.thresholds = Thresholds(dead_rows=50)
    site.sql(
        "ALTER TABLE docproc.rate_limits SET (autovacuum_enabled = off)",
        "INSERT INTO docproc.rate_limits SELECT n::text FROM generate_series(1, 200) n",
        "DELETE FROM docproc.rate_limits; SELECT pg_stat_force_next_flush()",
    )


def strange_plan(site: Site) -> None:
    site.sql(
        "INSERT INTO docproc.upload_jobs (document_id, user_id, status, source, extension, raw_path, raw_sha,"
        " raw_bytes, chunks_version, embed_model, embed_version)"
        " SELECT gen_random_uuid(), 'default', 'uploaded', '/a', '.md', 'a', 'a', 1, 'c@1', 'm', 'd4-f1'"
        " FROM generate_series(1, 12000)",
        "ANALYZE docproc.upload_jobs",
        f"ALTER DATABASE {DATABASE} SET enable_indexscan = off",
    )


def stale_lease(site: Site) -> None:
    _bring(site)
    site.sql("UPDATE docproc.upload_jobs SET claimed_by = 'gone:1:1:x', lease_until = now() - interval '1 hour'")


def left_alone(site: Site) -> None:
    _bring(site)
    site.sql("UPDATE docproc.upload_jobs SET run_at = now() - interval '2 days'")


def _bring(site: Site) -> None:
    with site.opened() as app:
        bring(app, site.settings.home.parent / "note.txt", "High tide at noon.\n")


def failed(site: Site) -> None:
    database = Database(site.admin)
    Bench(database).make(State.FAILED_EMBEDDING)
    database.close()


def open_home(site: Site) -> None:
    site.settings.home.mkdir(mode=0o755)
    (site.settings.home / "closed").mkdir(mode=0o700)
    assert site.red() == {}
    (site.settings.home / "open").mkdir(mode=0o755)


OTHERS: list[tuple[str, str, Damage]] = [
    ("a pending migration", "schema.current", pending),
    ("a session idle in a transaction", "database.transactions", idle),
    ("dead rows", "database.dead_rows", dead_rows),
    ("a planner without index scans", "workers.claim_plan", strange_plan),
    ("a stale lease", "workers.leases", stale_lease),
    ("work that nobody does", "workers.last_run", left_alone),
    ("a failed document", "data.failed", failed),
    ("a home that others can read", "environment.private", open_home),
]
"""Those that a command mends, or SQL, and that SQL alone does not make."""


@pytest.mark.parametrize(("id_", "damage"), [case[1:] for case in SCHEMA], ids=[case[0] for case in SCHEMA])
def test_a_sabotage_turns_its_own_check_red_and_sql_turns_it_green(site: Site, id_: str, damage: Damage) -> None:
    _spoil_and_mend(site, id_, damage)
    site.touched = False  # all checks are green: the next test may have it


@pytest.mark.parametrize(("id_", "damage"), [case[1:] for case in OTHERS], ids=[case[0] for case in OTHERS])
def test_a_sabotage_turns_its_own_check_red_and_its_remedy_green(site: Site, id_: str, damage: Damage) -> None:
    _spoil_and_mend(site, id_, damage)


def _spoil_and_mend(site: Site, id_: str, damage: Damage) -> None:
    damage(site)
    red = site.red()
    assert set(red) == {id_}, {id_: result.finding for id_, result in red.items()}
    site.paste(red[id_].remedy)
    assert {id_: result.finding for id_, result in site.red().items()} == {}


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
    assert not {"bad-secret", "hunter2"} & set(str(red[id_]).split())


def test_a_clean_deployment_has_none(site: Site) -> None:
    assert site.red() == {}


def test_every_check_has_a_sabotage() -> None:
    spoiled = {case[1] for case in SCHEMA + OTHERS + BY_HAND}
    # Not obtainable here: another Python, an old server, a model of more than 4,000 dimensions.
    elsewhere = {"environment.python", "database.version", "configuration.index"}
    assert spoiled == {check.id for check in checks.every()} - elsewhere
