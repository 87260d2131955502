"""Each sabotage of a deployment turns its own check red and no other, and its remedy, pasted, turns it green again."""

from __future__ import annotations

import psycopg
import pytest

from docproc.checks import Thresholds
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.states import State
from tests.integration.bench import Bench, bring
from tests.integration.sabotage import DATABASE, Damage, Site, sql
from tests.support import wait_until

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
