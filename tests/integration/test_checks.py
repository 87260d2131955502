"""validate-deploy: asked in parallel, bounded in time, reading only; what was not well before is not asked again."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from docproc import checks
from docproc.app import App
from docproc.checks import Check, Deployment, Finding, asking
from docproc.errors import ConfigError
from docproc.postgres import migrations
from docproc.postgres.database import Database
from docproc.settings import Secret, Secrets, Settings
from tests.conftest import TABLES, MakeApp
from tests.integration.bench import Bench, bring_all, drain
from tests.support import Mocks


def levels(app: App, *, data: bool = False, offline: bool = False) -> dict[str, str]:
    found = asking.run(Deployment(app, offline=offline), checks.every(data=data))
    return {result.check.id: result.level for result in found}


def errors(app: App, *, data: bool = False) -> dict[str, str]:
    """What was seen by every check that found an error; each names a remedy."""
    found = asking.run(Deployment(app), checks.every(data=data))
    results = [result for result in found if result.level == "error"]
    assert all(result.remedy and result.finding.seen for result in results)
    return {result.check.id: result.finding.seen for result in results}


def check(id_: str, ask: object, *needs: str, severity: str = "error", seconds: float = 5.0) -> Check:
    return Check(id_, "data", severity, "well", "mend it", ask, needs, seconds=seconds)  # type: ignore[arg-type]


def well(_: Deployment) -> Finding:
    return checks.ok("well")


def ill(_: Deployment) -> Finding:
    return checks.problem("ill")


def run(app: App, *asked: Check, **options: float) -> dict[str, str]:
    return {result.check.id: result.level for result in asking.run(Deployment(app), asked, **options)}


def test_what_needs_an_error_is_skipped_and_what_needs_a_warning_is_asked(app: App) -> None:
    asked = (check("a", ill), check("b", well, "a"), check("c", well, "b"), check("d", ill, severity="warn"))
    assert run(app, *asked, check("e", well, "d")) == {"a": "error", "b": "skip", "c": "skip", "d": "warn", "e": "ok"}


def test_what_needs_a_check_that_is_not_asked_is_skipped(app: App) -> None:
    assert run(app, check("b", well, "a"), check("c", well)) == {"b": "skip", "c": "ok"}


def test_an_error_that_a_check_raises_is_its_finding_and_the_others_go_on(app: App) -> None:
    def raises(_: Deployment) -> Finding:
        raise ZeroDivisionError("division by zero")

    first, second = asking.run(Deployment(app), (check("a", raises), check("b", well)))
    assert (first.level, second.level) == ("error", "ok")
    assert "ZeroDivisionError" in first.finding.seen and "-vv" in first.remedy


def test_a_check_that_hangs_is_given_up_and_holds_up_nothing(app: App) -> None:
    never = threading.Event()

    def hangs(_: Deployment) -> Finding:
        never.wait(30)
        return checks.ok("late")

    started = time.monotonic()
    found = run(app, check("a", hangs, seconds=0.2), check("b", well, "a"), check("c", well))
    assert found == {"a": "error", "b": "skip", "c": "ok"}
    assert time.monotonic() - started < 5
    never.set()


def test_all_checks_together_are_bounded_in_time(app: App) -> None:
    never = threading.Event()

    def hangs(_: Deployment) -> Finding:
        never.wait(30)
        return checks.ok("late")

    started = time.monotonic()
    asked = [check(f"c{n}", hangs, seconds=0.2) for n in range(40)]
    assert set(run(app, *asked, in_all=0.1).values()) == {"error"}
    assert time.monotonic() - started < 5
    never.set()


def test_checks_are_asked_at_once(app: App) -> None:
    together = threading.Barrier(asking.WIDTH, timeout=10)

    def meets(_: Deployment) -> Finding:
        together.wait()
        return checks.ok("met")

    assert set(run(app, *(check(f"c{n}", meets) for n in range(asking.WIDTH))).values()) == {"ok"}


def test_the_database_gives_up_a_statement_that_takes_too_long(app: App) -> None:
    from docproc.checks.looking import look

    with pytest.raises(Exception, match="statement timeout"), app.database.transaction() as conn:
        from docproc.checks.looking import only_read

        only_read(conn, 0.1)
        conn.execute("SELECT pg_sleep(20)")
    with pytest.raises(Exception, match="read-only"):
        look(Deployment(app), "record_providers", {"parser": "mock", "embedder": "mock"})


def test_only_and_skip_take_ids_and_groups() -> None:
    every = checks.every()
    ids = [c.id for c in checks.chosen(every, only=["schema.indexes"])]
    assert {"schema.indexes", "schema.columns", "database.reachable"} <= set(ids)
    assert "parser.key" not in ids
    assert checks.wanted(every[0], [every[0].group]) and not checks.wanted(every[0], ["schema.indexes"])
    left = checks.chosen(every, skip=["schema", "database.tls"])
    assert not [c.id for c in left if c.group == "schema" or c.id == "database.tls"]
    assert checks.chosen(every) == every


def test_a_name_that_is_no_check_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as refused:
        checks.chosen(checks.every(), only=["schema.indices"])
    assert refused.value.remedy == "did you mean schema.indexes?"


def test_offline_asks_nobody_but_the_database(make_app: MakeApp, services: Mocks) -> None:
    before = len(services.log())
    found = levels(make_app(), offline=True)
    assert len(services.log()) == before
    asked = {c.id: c for c in checks.every()}
    assert {id_ for id_, level in found.items() if level == "skip"} == {c.id for c in asked.values() if c.network}
    assert found["data.kind"] == "ok"


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
    assert set(errors(app)) == {"extension.installed", "schema.current"}
    results = {result.check.id: result for result in asking.run(Deployment(app), checks.every())}
    assert "docproc migrate" in results["schema.current"].remedy
    assert results["data.kind"].level == "skip"
    with empty_database.transaction() as conn:
        assert migrations.applied(conn) == {}


def test_an_older_schema_is_an_error(make_app: MakeApp, empty_database: Database) -> None:
    migrations.migrate(empty_database, to=1)
    app = make_app(secrets=Secrets(database_url=Secret(empty_database.conninfo)))
    assert set(errors(app)) == {"schema.current"}


def test_good_keys_are_no_error_and_a_mock_at_a_real_address_is_known_as_one(
    make_app: MakeApp, settings: Settings, services: Mocks
) -> None:
    app = make_app(**real(settings, services))
    assert errors(app) == {}
    assert (app.parser_service.kind, app.embedder_service.kind) == ("mock", "mock")


@pytest.mark.parametrize(
    ("fault", "id_"),
    [("llamaparse.unauthorized", "parser.key"), ("openai.unavailable:on=models", "embedder.key")],
)
def test_a_service_that_does_not_answer_well_is_an_error(app: App, services: Mocks, fault: str, id_: str) -> None:
    services.set_faults(fault if ":" in fault else f"{fault}:on=versions")
    assert set(errors(app)) == {id_}


def test_services_that_are_not_there_are_errors(make_app: MakeApp, settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    app = make_app(mocks=replace(settings.mocks, address=f"http://127.0.0.1:{port}"))
    assert set(errors(app)) == {"parser.key", "embedder.key"}


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
        ("UPDATE docproc.serving SET embed_model = 'another'", "I3"),
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


def test_a_role_that_may_only_read_lacks_the_right_to_write_and_can_ask_all_else(
    bench: Bench, make_app: MakeApp
) -> None:
    bench.sql("DROP ROLE IF EXISTS docproc_looks")
    bench.sql("CREATE ROLE docproc_looks")
    bench.sql("GRANT USAGE ON SCHEMA docproc TO docproc_looks")
    bench.sql("GRANT SELECT ON ALL TABLES IN SCHEMA docproc TO docproc_looks")
    conninfo = make_conninfo(bench.database.conninfo, options="-c role=docproc_looks")
    try:
        app = make_app(secrets=Secrets(database_url=Secret(conninfo)))
        assert set(errors(app, data=True)) == {"database.writable"}
        skipped = {id_ for id_, level in levels(app, data=True).items() if level == "skip"}
        assert skipped == {"workers.claim_plan"}
    finally:
        bench.sql("DROP OWNED BY docproc_looks")
        bench.sql("DROP ROLE docproc_looks")


def test_an_index_that_no_vectors_of_so_many_dimensions_can_have_is_a_warning(
    make_app: MakeApp, settings: Settings
) -> None:
    told = replace(settings.embedder, model="a-large-one", dimensions=5000)
    assert levels(make_app(embedder=told))["configuration.index"] == "warn"
    exact = replace(settings.search, index="none")
    assert levels(make_app(embedder=told, search=exact))["configuration.index"] == "ok"
