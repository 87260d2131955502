"""Baselines: what is compared, how much it matters, and a file that is whole, private and forgiving to its age."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docproc.config import load
from docproc.drift import Difference, Environment
from docproc.drift.baseline import SCHEMA, Baseline, read, refuse_other, renewed, write
from docproc.drift.comparing import with_baseline, with_profile
from docproc.drift.rules import MEANT, RULES, rule, same_line
from docproc.drift.values import DIGITS, fingerprint, secrets, values
from docproc.errors import ConfigError, DatabaseError
from docproc.settings import SECTIONS, Secrets, Settings
from tests.support import ROOT

SECRET = "hunter2-and-more"
ENVIRONMENT = Environment(
    profile="production",
    configuration={"embedder.model": "small", "runner.lease": 120.0, "mocks.seed": 0, "parser.local": [".md"]},
    secrets={"DATABASE_URL": {"fingerprint": "0a1b2c3d", "host": "db"}, "OPENAI_API_KEY": None},
    versions={"docproc": "1.2.3", "postgres": "16.4", "pgvector": "0.8.4", "python": "3.11.7"},
    schema={"version": 3, "fingerprint": "f" * 64},
)


def changed(part: str, **values: object) -> Environment:
    """The environment with other values in one part; a name's ``__`` stands for a dot."""
    told = {name.replace("__", "."): value for name, value in values.items()}
    parts: dict[str, Any] = {part: {**getattr(ENVIRONMENT, part), **told}}
    return replace(ENVIRONMENT, **parts)


def found(now: Environment, before: Environment = ENVIRONMENT) -> list[Difference]:
    return list(with_baseline("b.json", before, now).differences)


# ── what is compared ────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_environment_does_not_differ() -> None:
    assert found(ENVIRONMENT) == []


@pytest.mark.parametrize(
    ("now", "what", "severity"),
    [
        (changed("configuration", embedder__model="large"), "embedder.model", "error"),
        (changed("configuration", runner__lease=60.0), "runner.lease", "warn"),
        (changed("configuration", mocks__seed=1), "mocks.seed", "info"),
        (changed("configuration", parser__local=[]), "parser.local", "warn"),
        (replace(ENVIRONMENT, profile="staging"), "profile", "info"),
        (changed("secrets", OPENAI_API_KEY={"fingerprint": "00000000"}), "OPENAI_API_KEY", "warn"),
        (changed("secrets", DATABASE_URL=None), "DATABASE_URL", "warn"),
        (changed("secrets", DATABASE_URL={"fingerprint": "0a1b2c3d", "host": "other"}), "DATABASE_URL.host", "warn"),
        (changed("versions", docproc="1.2.4"), "docproc", "warn"),
        (changed("versions", postgres="16.6"), "postgres", "info"),
        (changed("versions", postgres="17.0"), "postgres", "warn"),
        (changed("versions", pgvector=None), "pgvector", "warn"),
        (changed("schema", fingerprint="0" * 64), "schema.fingerprint", "error"),
        (changed("schema", version=4), "schema.version", "error"),
    ],
)
def test_one_change_is_one_difference_of_its_severity(now: Environment, what: str, severity: str) -> None:
    (difference,) = found(now)
    assert (difference.what, difference.severity) == (what, severity)
    assert difference.why
    assert difference.baseline != difference.now


def test_the_worst_stands_first() -> None:
    now = replace(changed("configuration", embedder__model="large", mocks__seed=1), versions={"docproc": "2"})
    levels = [difference.severity for difference in found(now)]
    assert levels == sorted(levels, key=["error", "warn", "info"].index)
    assert set(levels) == {"error", "warn", "info"}


def test_keys_that_only_one_side_knows_are_named_and_not_compared() -> None:
    older = replace(ENVIRONMENT, configuration={"gone.key": 1, "mocks.seed": 0, "embedder.model": "small"}, schema={})
    differences = {difference.what: difference for difference in found(ENVIRONMENT, older)}
    assert set(differences) == {"gone.key", "runner.lease", "parser.local", "schema.version", "schema.fingerprint"}
    assert {difference.severity for difference in differences.values()} == {"warn"}
    assert all("not compared" in difference.why for difference in differences.values())
    assert differences["gone.key"].baseline == 1


def test_a_database_that_cannot_be_asked_is_one_difference() -> None:
    trouble = DatabaseError("database.unreachable", "cannot reach the database")
    known = {name: version for name, version in ENVIRONMENT.versions.items() if name in ("docproc", "python")}
    dead = replace(ENVIRONMENT, versions=known, schema={}, trouble=trouble)
    (difference,) = found(dead)
    assert (difference.what, difference.severity, difference.now) == ("database", "error", "not reached")
    assert "cannot reach the database" in difference.why
    (other,) = with_profile(dead, ENVIRONMENT).differences
    assert (other.what, other.baseline) == ("database", "not reached")


def test_between_two_profiles_what_is_meant_to_differ_is_said_to_be() -> None:
    services = {"parser.service": "mock", "embedder.service": "real", "storage.backend": "local", "chunker.name": "a@1"}
    others = {
        "parser.service": "real",
        "embedder.service": "mock",
        "storage.backend": "supabase",
        "chunker.name": "a@2",
    }
    local = replace(changed("secrets", OPENAI_API_KEY={"fingerprint": "1"}), configuration=services, profile="local")
    staging = replace(ENVIRONMENT, configuration=others)
    differences = {difference.what: difference for difference in with_profile(staging, local).differences}
    assert differences.pop("chunker.name").severity == "error"
    assert set(differences) == {"parser.service", "embedder.service", "storage.backend", "OPENAI_API_KEY"}
    assert {(it.severity, it.why.partition(":")[0]) for it in differences.values()} == {("info", "meant to differ")}
    assert {it.severity for it in found(local, staging) if it.kind == "configuration"} == {"error", "info"}


def test_one_database_compared_with_itself_is_a_warning() -> None:
    here = replace(ENVIRONMENT, place=("db", "5432", "docs"))
    (difference,) = with_profile(replace(here, profile="pre-live"), here).differences
    assert (difference.what, difference.severity) == ("database", "warn")
    assert "PRE_LIVE_DATABASE_URL" in difference.why
    assert with_profile(replace(here, place=("db", "5432", "other")), here).differences == ()


# ── how much it matters ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("what", "one", "other", "same"),
    [
        ("postgres", "16.4", "16.6", True),
        ("postgres", "16.4 (Debian 16.4-1)", "17.0", False),
        ("pgvector", "0.8.1", "0.8.4", True),
        ("pgvector", "0.7.4", "0.8.0", False),
        ("python", "3.11.7", "3.11.9", True),
        ("python", "3.11.7", "3.12.0", False),
        ("library.openai", "2.1.0", "2.9.0", True),
        ("library.openai", "unknown", "unknown too", False),
    ],
)
def test_a_release_line_ends_where_behaviour_may_change(what: str, one: str, other: str, same: bool) -> None:
    assert same_line(what, one, other) is same


def test_every_rule_names_keys_that_exist_and_every_kind_has_a_last_one() -> None:
    keys = [value.key for value in values(Settings())] + ["profile"]
    for it in (*RULES, *MEANT):
        assert it.severity in ("error", "warn", "info") and it.why
        if it.kind == "configuration":
            assert any(it.fits("configuration", key) for key in keys), it.pattern
    assert {it.kind for it in RULES if it.pattern == "*"} == {"configuration", "secret", "schema", "version"}
    assert rule("configuration", "parser.service").severity == "error"


def test_the_page_shows_the_table() -> None:
    page = (ROOT / "docs" / "baselines.md").read_text("utf-8")
    rows = [f"| {it.kind} | `{it.pattern}` | {it.severity} | {it.why} |\n" for it in RULES]
    assert "| kind | key | severity | why |\n|---|---|---|---|\n" + "".join(rows) + "\n" in page
    meant = {it.pattern for it in MEANT if it.kind == "configuration"}
    (sentence,) = re.findall(r"are meant to differ\n?.*?: (.*?)\.\n", page, re.S)
    assert set(re.findall(r"`([a-z_.*]+)`", sentence)) == meant


# ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fingerprint_changes_with_the_secret_and_does_not_hold_it() -> None:
    assert fingerprint(SECRET) == fingerprint(SECRET) != fingerprint(SECRET + "x")
    assert re.fullmatch(rf"[0-9a-f]{{{DIGITS}}}", fingerprint(SECRET))
    # With another salt or cost every baseline there is would differ.
    assert fingerprint("docproc") == "0b465c5f"


def test_every_setting_is_told_with_its_origin_and_what_differs_from_the_default_is_marked(tmp_path: Path) -> None:
    file = tmp_path / "docproc.toml"
    file.write_text('[parser]\ntier = "fast"\n[profile.staging.runner]\nlease = 99\n')
    environ = {"DOCPROC_PARSER_TIMEOUT": "60", "DOCPROC_HOME": str(tmp_path)}
    told = {v.key: v for v in values(load(config=file, profile="staging", environ=environ, flags={"user": "ada"}))}
    assert {key for key, value in told.items() if value.is_changed} == {"home", "user", "parser.tier", "runner.lease"}
    assert (told["user"].origin, told["home"].origin) == ("flag", "DOCPROC_HOME")
    assert told["parser.tier"].origin == str(file)
    assert told["runner.lease"].origin == f"{file} [profile.staging]"
    assert told["parser.timeout"].origin == "DOCPROC_PARSER_TIMEOUT"
    assert told["chunker.name"].origin == "default"
    assert {key.partition(".")[0] for key in told} == {"home", "user", *SECTIONS}
    local = {value.key: value for value in values(load(config=file, environ={}))}
    assert not local["parser.timeout"].is_changed


def test_secrets_are_told_by_name_origin_fingerprint_and_where_they_lead() -> None:
    environ = {
        "DATABASE_URL": f"postgresql://ada:{SECRET}@db.test:6432/docs?sslmode=require",
        "OPENAI_API_KEY": SECRET,
        "OPENAI_BASE_URL": f"https://me:{SECRET}@api.test:8443/v1?key={SECRET}",
        "SUPABASE_URL": "https://[broken",
    }
    told = {secret.name: secret for secret in secrets(load(environ=environ))}
    assert list(told) == [name.upper() for name in Secrets.__dataclass_fields__]
    assert SECRET not in repr(told)
    assert told["DATABASE_URL"].leads_to == {
        "host": "db.test",
        "port": "6432",
        "database": "docs",
        "user": "ada",
        "sslmode": "require",
    }
    assert told["OPENAI_BASE_URL"].leads_to == {"host": "api.test:8443"}
    assert told["OPENAI_API_KEY"].fingerprint == fingerprint(SECRET)
    assert told["OPENAI_API_KEY"].leads_to == told["SUPABASE_URL"].leads_to == {}
    assert (told["LLAMA_CLOUD_API_KEY"].fingerprint, told["LLAMA_CLOUD_API_KEY"].origin) == ("", "")
    odd = {secret.name: secret for secret in secrets(load(environ={"DATABASE_URL": "mysql://u:p@h/d"}))}
    assert odd["DATABASE_URL"].fingerprint and odd["DATABASE_URL"].leads_to == {}


# ── the file ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def open_umask() -> Iterator[None]:
    """New files are open to everybody, unless who makes them says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_what_is_written_is_read_again_and_written_twice_it_is_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write(path, Baseline(ENVIRONMENT, results={"documents": 3}))
    first = path.read_bytes()
    assert read(path) == Baseline(ENVIRONMENT, results={"documents": 3})
    write(path, read(path))
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    document = json.loads(first)
    assert list(document) == sorted(document) and document["schema"] == SCHEMA
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.json"]


def test_results_and_performance_stay_when_the_environment_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    write(path, Baseline(ENVIRONMENT, results=[1], performance={"seconds": 2.5}))
    other = replace(ENVIRONMENT, profile="staging")
    assert renewed(path, other) == Baseline(other, [1], {"seconds": 2.5})
    assert renewed(tmp_path / "new.json", other) == Baseline(other)


def test_an_environment_whose_database_could_not_be_asked_is_no_baseline(tmp_path: Path) -> None:
    trouble = DatabaseError("database.unreachable", "away")
    with pytest.raises(DatabaseError):
        renewed(tmp_path / "b.json", replace(ENVIRONMENT, trouble=trouble))


def _document(**more: Any) -> bytes:
    parts: dict[str, Any] = {"configuration": {}, "secrets": {}, "versions": {}, "database_schema": {}}
    return json.dumps({"schema": 1, "profile": "local", **parts, **more}).encode()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "JSON"),
        (b"\xff", "JSON"),
        (b"[]", "schema"),
        (b'{"schema": "1"}', "schema"),
        (b'{"schema": 1, "checks": []}', "configuration"),
        (_document(schema=2), "later"),
        (_document(profile=None), "profile"),
        (_document(versions=[]), "versions"),
        (_document(secrets={"OPENAI_API_KEY": SECRET}), "secrets"),
        (_document(secrets={"OPENAI_API_KEY": {"fingerprint": None}}), "secrets"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused_with_what_why_and_try(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "b.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read(path)
    error = caught.value
    assert str(path) in error.what and error.why and error.remedy
    assert word in f"{error.what} {error.why}"
    assert SECRET not in str(error)
    with pytest.raises(ConfigError, match="not overwritten"):
        refuse_other(path)


def test_a_baseline_that_is_missing_or_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path / "none.json")
    assert "No such file" in caught.value.why
    refuse_other(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be written"):
        write(tmp_path / "no-folder" / "b.json", Baseline(ENVIRONMENT))
    assert list(tmp_path.iterdir()) == []
