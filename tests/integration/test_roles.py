"""The roles of sql/roles.sql on a cluster of their own: what each may do, and that it may do nothing else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.errors import DataException, InsufficientPrivilege

from docproc.checks.database import WRITES
from docproc.local import cluster
from docproc.postgres import migration_files, migrations
from docproc.postgres.database import Database
from tests.conftest import clone
from tests.e2e.conftest import local
from tests.support import ROOT, Docproc, Mocks

SCRIPT = ROOT / "sql" / "roles.sql"
LOGINS = ("docproc_owner", "docproc_app", "searcher", "reader_of_alice", "reader_of_nobody")
PASSWORD = "a password of this test"

USERS = {"alice": "A walrus sings at dusk.\n", "bob": "Eleven kettles boil in the harbour.\n"}
"""What each user's one document says."""


@dataclass(frozen=True, slots=True)
class Roles:
    """A database set up as docs/security.md says, and its conninfo for each login."""

    admin: str

    def of(self, login: str) -> str:
        """The conninfo of ``login``."""
        return make_conninfo(self.admin, user=login, password=PASSWORD, passfile="/dev/null")

    def run(self, login: str, *statements: str) -> list[tuple[object, ...]]:
        """Runs statements in one transaction; returns the rows of the last."""
        with psycopg.connect(self.of(login)) as conn:
            for statement in statements:
                last = conn.execute(statement.encode())
            return last.fetchall() if last.description else []


def apply(conninfo: str, *, autocommit: bool = True) -> None:
    """Runs roles.sql."""
    with psycopg.connect(conninfo, autocommit=autocommit) as conn:
        conn.execute(SCRIPT.read_bytes())


def migrate(conninfo: str) -> None:
    """Brings a database to the latest schema."""
    database = Database(conninfo)
    migrations.migrate(database)
    database.close()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster of this file's own, because roles belong to all databases of a cluster."""
    with cluster.start(tmp_path_factory.mktemp("roles"), fsync=False) as running:
        yield running.dsn


@pytest.fixture(scope="module")
def roles(own_server: str) -> Roles:
    """A database that was set up in the order of the documentation: roles, migrate, roles again."""
    it = Roles(clone(own_server, "template1", "shop"))
    apply(it.admin)
    with psycopg.connect(it.admin, autocommit=True) as conn:
        conn.execute("CREATE ROLE searcher IN ROLE docproc_reader")
        conn.execute("CREATE ROLE reader_of_alice IN ROLE docproc_bound_reader")
        conn.execute("CREATE ROLE reader_of_nobody IN ROLE docproc_bound_reader")
        for login in LOGINS:
            conn.execute(f"ALTER ROLE {login} LOGIN PASSWORD '{PASSWORD}'".encode())
    migrate(it.of("docproc_owner"))
    apply(it.admin)
    bound = "('another_login', 'bob'), ('reader_of_alice', 'alice')"
    it.run("docproc_owner", f"INSERT INTO docproc_read.bound VALUES {bound}")
    return it


def piped(roles: Roles, mocks: Mocks, folder: Path, login: str = "docproc_app") -> Docproc:
    """docproc as ``login``."""
    return local(folder, roles.of(login), mocks.address, DOCPROC_SEARCH_INDEX_FROM="2")


@pytest.fixture(scope="module")
def filled(roles: Roles, mock_server: Mocks, tmp_path_factory: pytest.TempPathFactory) -> Roles:
    """The database with a document of each user, brought there by the role of the pipeline."""
    mock_server.set_faults()
    for user, text in USERS.items():
        folder = tmp_path_factory.mktemp(user)
        (folder / f"{user}.md").write_text(text, "utf-8")
        said = piped(roles, mock_server, folder / "desk").run("run-all", "--user", user, str(folder / f"{user}.md"))
        assert said.returncode == 0, said.stderr
        assert "Traceback" not in said.stderr
    assert "must be owner" not in said.stderr  # of the index: an owner builds it, and nobody is woken for that
    return roles


def vector(roles: Roles) -> str:
    """The vector of some document, as SQL."""
    query = "SELECT vector::text FROM docproc.document_search WHERE user_id = 'bob' LIMIT 1"
    with psycopg.connect(roles.admin) as conn:
        found = conn.execute(query.encode()).fetchone()
    assert found is not None
    return f"'{found[0]}'::vector"


# ── owner ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def owners(conninfo: str) -> set[str]:
    """Who owns what is in the schema."""
    with psycopg.connect(conninfo) as conn:
        rows = conn.execute(
            "SELECT relowner::regrole::text FROM pg_class WHERE relnamespace = 'docproc'::regnamespace"
            " UNION SELECT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'docproc'::regnamespace"
            " UNION SELECT stxowner::regrole::text FROM pg_statistic_ext WHERE stxnamespace = 'docproc'::regnamespace"
            " UNION SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'docproc'"
        ).fetchall()
    return {owner for (owner,) in rows}


def test_the_owner_migrates_owns_everything_and_is_no_superuser(roles: Roles) -> None:
    assert owners(roles.admin) == {"docproc_owner"}
    database = Database(roles.of("docproc_owner"))
    assert migrations.verify(database).is_whole
    database.close()
    flags = "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls FROM pg_roles WHERE rolname ~ '^docproc_'"
    assert set(roles.run("docproc_owner", flags)) == {(False,)}


def test_a_database_that_another_role_made_is_taken_over(own_server: str, roles: Roles) -> None:
    conninfo = clone(own_server, "template1", "older")
    migrate(conninfo)
    assert owners(conninfo) == {"docproc"}
    apply(conninfo)
    assert owners(conninfo) == {"docproc_owner"}
    older = Roles(conninfo)
    assert older.run("docproc_app", "SELECT count(*) FROM docproc.upload_jobs") == [(0,)]


def test_it_needs_no_superuser(own_server: str, roles: Roles) -> None:
    with psycopg.connect(own_server, autocommit=True) as conn:
        conn.execute(f"CREATE ROLE administrator LOGIN CREATEROLE PASSWORD '{PASSWORD}'".encode())
        # Of roles that exist already, the newer servers let him give away only those that are his to give.
        for role in ("owner", "app", "reader", "bound_reader", "definer"):
            conn.execute(f"GRANT docproc_{role} TO administrator WITH ADMIN OPTION".encode())
    conninfo = clone(own_server, "template1", "managed")
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("ALTER DATABASE managed OWNER TO administrator")
        conn.execute("CREATE EXTENSION IF NOT EXISTS vector")
    managed = Roles(conninfo)
    apply(managed.of("administrator"))
    migrate(managed.of("docproc_owner"))
    apply(managed.of("administrator"))
    assert managed.run("docproc_app", "SELECT count(*) FROM docproc.upload_jobs") == [(0,)]


def rights(conninfo: str) -> list[tuple[object, ...]]:
    """Every right in docproc's schemas, and what new things will get."""
    with psycopg.connect(conninfo) as conn:
        return conn.execute(
            "SELECT relname, relowner::text, relacl::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname IN ('docproc', 'docproc_read') UNION ALL "
            "SELECT proname, proowner::text, proacl::text FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace"
            " WHERE nspname IN ('docproc', 'docproc_read') UNION ALL "
            "SELECT nspname, nspowner::text, nspacl::text FROM pg_namespace WHERE nspname LIKE 'docproc%' UNION ALL "
            "SELECT defaclobjtype::text, defaclrole::text, defaclacl::text FROM pg_default_acl UNION ALL "
            "SELECT roleid::text, member::text, '' FROM pg_auth_members UNION ALL "
            "SELECT datname, datdba::text, datacl::text FROM pg_database WHERE datname = current_database()"
            " ORDER BY 1, 2, 3"
        ).fetchall()


@pytest.mark.parametrize("autocommit", [True, False])
def test_to_run_it_again_changes_nothing(roles: Roles, autocommit: bool) -> None:
    before = rights(roles.admin)
    apply(roles.admin, autocommit=autocommit)
    assert rights(roles.admin) == before
    assert len(before) > 30


def test_it_takes_back_what_was_given_by_hand(own_server: str, roles: Roles) -> None:
    with psycopg.connect(roles.admin, autocommit=True) as conn:
        conn.execute("GRANT TRUNCATE, REFERENCES ON docproc.upload_jobs TO docproc_app")
        conn.execute("GRANT SELECT ON docproc.upload_jobs TO docproc_reader, docproc_bound_reader, PUBLIC")
    apply(roles.admin)
    for login, statement in (
        ("docproc_app", "TRUNCATE docproc.upload_jobs CASCADE"),
        ("searcher", "SELECT FROM docproc.upload_jobs"),
        ("reader_of_alice", "SELECT FROM docproc.upload_jobs"),
    ):
        with pytest.raises(InsufficientPrivilege):
            roles.run(login, statement)


def test_the_script_holds_no_password_and_gives_no_login() -> None:
    assert re.findall(r"(?i:password)|\b(?:LOGIN|SUPERUSER|BYPASSRLS)\b", SCRIPT.read_text("utf-8")) == []


def test_the_migrations_do_not_take_it_for_a_step_and_the_wheel_has_it() -> None:
    assert SCRIPT.name not in {f"{step.title}.up.sql" for step in migration_files.known().steps}
    built = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert built["force-include"]["sql"] == "docproc/sql"
    assert (migration_files.folder() / SCRIPT.name).is_file()


# ── app ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_app_does_a_whole_run_and_everything_of_every_day(
    filled: Roles, mock_server: Mocks, tmp_path: Path
) -> None:
    docproc = piped(filled, mock_server, tmp_path / "desk")
    with psycopg.connect(filled.admin) as conn:
        states = conn.execute("SELECT user_id, status FROM docproc.upload_jobs ORDER BY 1").fetchall()
    assert states == [("alice", "complete"), ("bob", "complete")]
    for words in (
        ["status"],
        ["search", "--hybrid", "--user", "bob", "kettles"],
        ["cleanup"],
        ["validate-deploy", "--only", "database", "--only", "schema", "--data", "--fail-on", "warn"],
        ["migrate", "--verify"],
    ):
        said = docproc.run(*words)
        assert said.returncode == 0, (words, said.stdout, said.stderr)


def test_the_app_has_every_right_that_docproc_s_statements_need(roles: Roles) -> None:
    wanted = [(table, right) for table, all_of_it in WRITES.items() for right in (*all_of_it, "SELECT")]
    query = "SELECT has_table_privilege('docproc.' || t, p) FROM (VALUES {}) AS w (t, p)"
    values = ", ".join(f"('{table}', '{right}')" for table, right in wanted)
    assert set(roles.run("docproc_app", query.format(values))) == {(True,)}


REFUSED_TO_THE_APP = (
    "CREATE TABLE docproc.x (n integer)",
    "CREATE TABLE public.x (n integer)",
    "CREATE SCHEMA x",
    "CREATE FUNCTION docproc.x() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
    "CREATE INDEX x ON docproc.upload_jobs (source)",
    "CREATE ROLE x",
    "DROP TABLE docproc.job_events",
    "DROP VIEW docproc.document_search",
    "DROP SCHEMA docproc CASCADE",
    "DROP FUNCTION docproc.search",
    "DROP EXTENSION vector CASCADE",
    "TRUNCATE docproc.job_events",
    "ALTER TABLE docproc.upload_jobs ADD COLUMN x integer",
    "ALTER TABLE docproc.upload_jobs DISABLE TRIGGER ALL",
    "ALTER TABLE docproc.upload_jobs OWNER TO docproc_app",
    "CREATE OR REPLACE VIEW docproc.search_model AS SELECT ''::text AS user_id, ''::text, ''::text",
    "DELETE FROM docproc.schema_migrations",
    "INSERT INTO docproc.legal_moves VALUES ('complete', 'uploaded')",
    "UPDATE docproc.job_events SET note = 'another history'",
    "UPDATE docproc.deployments SET outcome = 'done'",
    "UPDATE docproc_read.bound SET user_id = 'bob'",
    "SELECT * FROM docproc_read.search(NULL)",
    "SET ROLE docproc_owner",
    "SET ROLE docproc_definer",
    "COPY docproc.upload_jobs TO PROGRAM 'true'",
    "SELECT pg_read_file('/etc/passwd')",
)


@pytest.mark.parametrize("statement", REFUSED_TO_THE_APP)
def test_the_app_changes_no_schema_no_rights_and_no_history(roles: Roles, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        roles.run("docproc_app", statement)


def test_migrate_as_the_app_is_refused_in_three_lines(own_server: str, roles: Roles, tmp_path: Path) -> None:
    conninfo = clone(own_server, "template1", "pending")
    apply(conninfo)
    docproc = local(tmp_path / "desk", Roles(conninfo).of("docproc_app"), "http://127.0.0.1:9")
    said = docproc.run("migrate")
    assert said.returncode == 10, said.stderr
    assert [line.split()[0] for line in said.stderr.splitlines()] == ["error", "why", "try"]
    assert "[database.rights]" in said.stderr
    assert "nothing was changed" in said.stderr
    assert "permission denied" in said.stderr


def test_a_table_of_the_next_migration_can_be_used_before_the_script_runs_again(roles: Roles) -> None:
    roles.run("docproc_owner", "CREATE TABLE docproc.next (n integer)")
    try:
        roles.run("docproc_app", "INSERT INTO docproc.next VALUES (1)", "DELETE FROM docproc.next")
        with pytest.raises(InsufficientPrivilege):
            roles.run("searcher", "SELECT FROM docproc.next")
    finally:
        roles.run("docproc_owner", "DROP TABLE docproc.next")


# ── readers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def relations(roles: Roles) -> list[str]:
    """Every table and view of docproc's, by its full name."""
    query = (
        "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname IN ('docproc', 'docproc_read') AND relkind IN ('r', 'v')"
    )
    with psycopg.connect(roles.admin) as conn:
        return [name for (name,) in conn.execute(query.encode()).fetchall()]


def seen(roles: Roles, login: str) -> set[str]:
    """The tables and views that ``login`` can read."""
    found = set()
    for name in relations(roles):
        try:
            roles.run(login, f"SELECT FROM {name} LIMIT 1")
        except InsufficientPrivilege:
            continue
        found.add(name)
    return found


def test_the_reader_searches_and_sees_no_table(filled: Roles) -> None:
    near = f"SELECT source, text FROM docproc.search({vector(filled)}, 5, 'bob')"
    ((source, text),) = filled.run("searcher", near)
    assert (str(source).rpartition("/")[2], text) == ("bob.md", USERS["bob"].strip())
    hybrid = f"SELECT text FROM docproc.search_hybrid({vector(filled)}, 'kettles', 5, 'bob')"
    assert filled.run("searcher", hybrid) == [(text,)]
    assert seen(filled, "searcher") == {"docproc.document_search", "docproc.search_model"}
    assert len(relations(filled)) > 12


@pytest.mark.parametrize("login", ["searcher", "reader_of_alice"])
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM docproc.upload_jobs",
        "UPDATE docproc.search_model SET embed_model = 'x'",
        "INSERT INTO docproc_read.bound VALUES (session_user, 'bob')",
        "SELECT docproc.make_way_for_index('m', 'd3-f1', 'hnsw')",
        "CREATE TABLE docproc.x (n integer)",
        "CREATE TABLE docproc_read.x (n integer)",
        "DROP VIEW docproc.document_search",
        "CREATE OR REPLACE FUNCTION docproc_read.bound_user() RETURNS text LANGUAGE sql AS $$SELECT 'bob'$$",
        "SET ROLE docproc_app",
        "SET ROLE docproc_definer",
        "SET SESSION AUTHORIZATION docproc_app",
    ],
)
def test_a_reader_only_reads(filled: Roles, login: str, statement: str) -> None:
    with pytest.raises(InsufficientPrivilege):
        filled.run(login, statement)


def test_a_reader_bound_to_alice_finds_her_documents_and_cannot_see_bob_s(filled: Roles) -> None:
    nearest_bob = vector(filled)
    walrus = [(USERS["alice"].strip(),)]
    ask = f"SELECT text FROM docproc_read.search({nearest_bob}, 10)"
    assert filled.run("reader_of_alice", ask) == walrus
    hybrid = f"SELECT text FROM docproc_read.search_hybrid({nearest_bob}, 'kettles walrus', 10)"
    assert filled.run("reader_of_alice", hybrid) == walrus
    bobs = f"SELECT text FROM docproc_read.search({nearest_bob}, 10, source_like => '%bob%')"
    assert filled.run("reader_of_alice", bobs) == []
    assert filled.run("reader_of_alice", "SELECT * FROM docproc_read.search_model()") == filled.run(
        "searcher", "SELECT embed_model, embed_version FROM docproc.search_model WHERE user_id = 'alice'"
    )
    assert seen(filled, "reader_of_alice") == set()
    with pytest.raises(InsufficientPrivilege):
        filled.run("reader_of_alice", f"SELECT * FROM docproc.search({nearest_bob}, 10, 'bob')")


@pytest.mark.parametrize(
    "argument",
    ["source_like => '%'' OR true --'", "model => 'x'' OR true --'", "version => 'd1536-f1'' OR true --'"],
)
def test_no_argument_leads_a_bound_reader_round_the_wall(filled: Roles, argument: str) -> None:
    ask = f"SELECT text FROM docproc_read.search({vector(filled)}, 10, {argument})"
    try:
        found = filled.run("reader_of_alice", ask)
    except DataException:  # no such model, no such dimensions
        return
    assert (USERS["bob"].strip(),) not in found


def test_no_setting_and_no_object_of_its_own_leads_a_bound_reader_round_the_wall(filled: Roles) -> None:
    told = filled.run(
        "reader_of_alice",
        "CREATE TEMPORARY TABLE document_search AS SELECT 'bob' AS user_id",
        "CREATE FUNCTION pg_temp.bound_user() RETURNS text LANGUAGE sql AS $$SELECT 'bob'$$",
        "SET LOCAL search_path = pg_temp, docproc, public",
        "SET LOCAL row_security = off",
        f"SELECT text FROM docproc_read.search({vector(filled).replace('::vector', '::public.vector')}, 10)",
    )
    assert told == [(USERS["alice"].strip(),)]


def test_a_bound_reader_that_is_bound_to_nobody_is_told_so(filled: Roles) -> None:
    with pytest.raises(InsufficientPrivilege, match="no user is named for the login reader_of_nobody"):
        filled.run("reader_of_nobody", f"SELECT * FROM docproc_read.search({vector(filled)}, 10)")


def test_the_index_is_the_owner_s_to_build_and_a_bound_reader_searches_with_it(
    filled: Roles, mock_server: Mocks, tmp_path: Path
) -> None:
    built = "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'document_vector_buffer_hnsw_%'"
    assert filled.run("docproc_app", built) == [(0,)]
    said = piped(filled, mock_server, tmp_path / "desk", "docproc_owner").run("embed")
    assert said.returncode == 0, said.stderr
    assert filled.run("docproc_app", built) == [(1,)]
    ask = f"SELECT text FROM docproc_read.search({vector(filled)}, 10)"
    assert filled.run("reader_of_alice", ask) == [(USERS["alice"].strip(),)]
