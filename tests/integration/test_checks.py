"""validate-deploy: a sound environment has no error, and each sabotage turns its own check red with a remedy."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from docproc import checks
from docproc.app import App
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.settings import Secret, Secrets, Settings
from tests.conftest import TABLES, MakeApp
from tests.integration.bench import Bench, bring_all, drain
from tests.support import Mocks


def levels(app: App, *, data: bool = False) -> dict[str, str]:
    return {result.id: result.finding.level for result in checks.run(app, checks.every(data=data))}


def errors(app: App, *, data: bool = False) -> dict[str, str]:
    """What was seen by every check that found an error; each names a remedy."""
    results = [result for result in checks.run(app, checks.every(data=data)) if result.finding.level == "error"]
    assert all(result.finding.remedy and result.finding.seen for result in results)
    return {result.id: result.finding.seen for result in results}


def real(settings: Settings, services: Mocks, *, parser: str = "any", embedder: str = "any") -> dict[str, object]:
    """Settings that name real services, which are at the mocks' address."""
    keys = {"llama_cloud_api_key": Secret(parser), "openai_api_key": Secret(embedder)}
    places = {"llama_cloud_base_url": services.address, "openai_base_url": f"{services.address}/v1"}
    return {
        "secrets": replace(settings.secrets, **keys, **{name: Secret(at) for name, at in places.items()}),
        "parser": replace(settings.parser, service="real"),
        "embedder": replace(settings.embedder, service="real"),
    }


def test_a_sound_environment_has_no_error(app: App) -> None:
    found = levels(app, data=True)
    assert set(found.values()) <= {"ok", "warn"}, found
    assert len(found) == len(checks.every(data=True)) == len(set(found))


def test_the_checks_write_nothing(app: App, bench: Bench, services: Mocks) -> None:
    bill = {key: value for key, value in services.bill().items() if key != "requests"}
    before = {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in TABLES}
    levels(app, data=True)
    assert {key: value for key, value in services.bill().items() if key != "requests"} == bill
    assert {table: bench.sql(f"SELECT xmin::text, * FROM docproc.{table}") for table in TABLES} == before
    assert not (app.settings.home / "storage").exists()


def test_a_dead_database_is_one_error_and_the_rest_is_skipped(make_app: MakeApp) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    app = make_app(secrets=Secrets(database_url=Secret(f"postgresql://u:hunter2@127.0.0.1:{port}/d")))
    found = errors(app)
    assert set(found) == {"database.reachable"}
    assert str(port) in found["database.reachable"] and "hunter2" not in found["database.reachable"]
    assert {level for id_, level in levels(app).items() if id_.startswith("database.")} == {"error", "skip"}


def test_an_address_that_is_none_is_an_error(make_app: MakeApp) -> None:
    app = make_app(secrets=Secrets(database_url=Secret("mysql://u:hunter2@h/d")))
    found = errors(app)
    assert set(found) == {"database.reachable"}
    assert "hunter2" not in str(found)


def test_an_unmigrated_database_is_told_what_to_run(make_app: MakeApp, empty_database: Database) -> None:
    app = make_app(secrets=Secrets(database_url=Secret(empty_database.conninfo)))
    assert set(errors(app)) == {"database.extension", "database.schema"}
    results = {result.id: result.finding for result in checks.run(app, checks.every())}
    assert "docproc migrate" in results["database.schema"].remedy
    assert results["database.kind"].level == "skip"
    with empty_database.transaction() as conn:
        assert migrations.applied(conn) == {}


def test_an_older_schema_is_an_error(make_app: MakeApp, empty_database: Database) -> None:
    migrations.migrate(empty_database, to=1)
    app = make_app(secrets=Secrets(database_url=Secret(empty_database.conninfo)))
    assert set(errors(app)) == {"database.schema"}


def test_an_edited_migration_is_an_error(make_app: MakeApp, empty_database: Database) -> None:
    migrations.migrate(empty_database)
    with empty_database.transaction() as conn:
        conn.execute("UPDATE docproc.schema_migrations SET checksum = 'edited' WHERE version = 1")
    app = make_app(secrets=Secrets(database_url=Secret(empty_database.conninfo)))
    assert set(errors(app)) == {"database.schema"}


def test_a_database_without_pgvector_is_an_error(make_app: MakeApp, empty_database: Database) -> None:
    migrations.migrate(empty_database)
    with psycopg.connect(empty_database.conninfo) as conn:
        conn.execute("DROP EXTENSION vector CASCADE")
    app = make_app(secrets=Secrets(database_url=Secret(empty_database.conninfo)))
    assert "database.extension" in errors(app)


@pytest.mark.parametrize("service", ["parser", "embedder"])
def test_a_refused_key_is_an_error_of_its_service(
    make_app: MakeApp, settings: Settings, services: Mocks, service: str
) -> None:
    app = make_app(**real(settings, services, **{service: "bad-secret"}))
    found = errors(app)
    assert set(found) == {f"services.{service}"}
    assert "bad-secret" not in str(found)


def test_good_keys_are_no_error_and_a_mock_at_a_real_address_is_known_as_one(
    make_app: MakeApp, settings: Settings, services: Mocks
) -> None:
    app = make_app(**real(settings, services))
    assert errors(app) == {}
    assert (app.parser_service.kind, app.embedder_service.kind) == ("mock", "mock")


@pytest.mark.parametrize("service", ["parser", "embedder"])
def test_a_missing_key_is_an_error_of_its_service(make_app: MakeApp, settings: Settings, service: str) -> None:
    app = make_app(**{service: replace(getattr(settings, service), service="real")})
    assert set(errors(app)) >= {f"services.{service}"}


def test_an_unknown_model_is_an_error(make_app: MakeApp, settings: Settings) -> None:
    app = make_app(embedder=replace(settings.embedder, model="text-embedding-9"))
    assert set(errors(app)) == {"services.embedder"}


def test_a_parser_version_that_is_not_offered_is_an_error(make_app: MakeApp, settings: Settings) -> None:
    app = make_app(parser=replace(settings.parser, version="1999-01-01"))
    assert set(errors(app)) == {"services.parser"}


@pytest.mark.parametrize(
    ("fault", "id_"),
    [("llamaparse.unauthorized", "services.parser"), ("openai.unavailable:on=models", "services.embedder")],
)
def test_a_service_that_does_not_answer_well_is_an_error(app: App, services: Mocks, fault: str, id_: str) -> None:
    services.set_faults(fault if ":" in fault else f"{fault}:on=versions")
    assert set(errors(app)) == {id_}


def test_services_that_are_not_there_are_errors(make_app: MakeApp, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    app = make_app(mocks=replace(settings.mocks, address=f"http://127.0.0.1:{port}"))
    assert set(errors(app)) == {"services.parser", "services.embedder"}


def test_a_database_of_the_other_kind_of_services_is_an_error(app: App, bench: Bench) -> None:
    bench.sql("INSERT INTO docproc.installation (parser_kind, embedder_kind) VALUES ('real', 'mock')")
    assert set(errors(app)) == {"database.kind"}


def test_a_storage_that_cannot_be_a_folder_is_an_error(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    assert set(errors(make_app(home=file))) == {"environment.storage"}


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("runner", {"heartbeat": 60.0, "lease": 120.0}),
        ("embedder", {"timeout": 130.0}),
        ("parser", {"timeout": 130.0}),
        ("chunker", {"name": "gone@1"}),
    ],
)
def test_settings_that_do_not_fit_together_are_an_error(
    make_app: MakeApp, settings: Settings, section: str, changes: dict[str, object]
) -> None:
    app = make_app(**{section: replace(getattr(settings, section), **changes)})
    assert set(errors(app)) == {"environment.configuration"}


def test_the_data_of_a_whole_run_keep_every_invariant(app: App, bench: Bench, services: Mocks, tmp_path: Path) -> None:
    services.set_faults("openai.bad_input:match=POISON", "openai.server_error:times=1")
    bring_all(app, tmp_path, {"a.md": "# Tide\n\nHigh.\n", "b.md": "# POISON\n\nLow.\n", "c.txt": " \n"})
    drain(app)
    assert sorted(bench.states().values()) == ["complete", "failed_embedding", "failed_parse"]
    assert errors(app, data=True) == {}


@pytest.mark.parametrize(
    ("damage", "invariant"),
    [
        ("DELETE FROM docproc.upload_jobs", "I1"),
        ("DELETE FROM docproc.document_vector_buffer", "I3"),
        ("UPDATE docproc.serving SET embed_model = 'another'", "I3"),
        ("UPDATE docproc.document_chunk_buffer SET chunk_ord = chunk_ord + 1", "I2"),
        ("DELETE FROM docproc.job_events", "I7"),
        ("UPDATE docproc.upload_jobs SET claimed_by = 'x', lease_until = now() - interval '1 day'", "I6"),
    ],
)
def test_damaged_data_break_an_invariant(app: App, bench: Bench, tmp_path: Path, damage: str, invariant: str) -> None:
    bring_all(app, tmp_path, {"a.md": "# Tide\n\nHigh.\n"})
    drain(app)
    bench.sql(damage)
    found = errors(app, data=True)
    assert set(found) == {"data.invariants"} and invariant in found["data.invariants"]


def test_a_role_that_may_only_read_is_enough_for_the_database(app: App, bench: Bench, make_app: MakeApp) -> None:
    bench.sql("DROP ROLE IF EXISTS docproc_looks")
    bench.sql("CREATE ROLE docproc_looks")
    bench.sql("GRANT USAGE ON SCHEMA docproc TO docproc_looks")
    bench.sql("GRANT SELECT ON ALL TABLES IN SCHEMA docproc TO docproc_looks")
    conninfo = make_conninfo(bench.database.conninfo, options="-c role=docproc_looks")
    try:
        assert errors(make_app(secrets=Secrets(database_url=Secret(conninfo))), data=True) == {}
    finally:
        bench.sql("DROP OWNED BY docproc_looks")
        bench.sql("DROP ROLE docproc_looks")
