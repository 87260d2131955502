"""Holds the settings to their order of precedence and to exact complaints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest

from docproc.config import LOCAL, load
from docproc.errors import ConfigError
from docproc.settings import DEFAULT_PROFILE, SECTIONS, Settings

SHIPPED = Path(__file__).parents[2] / "docproc.toml"

Toml = Callable[[str], Path]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def toml(here: Path) -> Toml:
    """Writes docproc.toml into the working directory."""

    def write(text: str) -> Path:
        path = here / "docproc.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def complaint(environ: dict[str, str] | None = None, **arguments: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(environ=environ or {}, **arguments)  # type: ignore[arg-type]
    return caught.value


# ── precedence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_without_anything_the_defaults_hold(here: Path) -> None:
    settings = load(environ={})
    assert settings == Settings(home=here / ".docproc", parser=LOCAL)
    assert settings.origins == {}


def test_flag_beats_environment_beats_file_beats_default(toml: Toml) -> None:
    path = toml("[parser]\nfirst_poll = 2\nmax_poll = 2\ndeadline = 2\n")
    environ = {"DOCPROC_PARSER_MAX_POLL": "3", "DOCPROC_PARSER_DEADLINE": "3"}
    settings = load(environ=environ, flags={"parser.deadline": 4.0})
    parser = settings.parser
    assert (parser.max_submits, parser.first_poll, parser.max_poll, parser.deadline) == (3, 2, 3, 4)
    assert settings.origins == {
        "parser.first_poll": str(path.name),
        "parser.max_poll": "DOCPROC_PARSER_MAX_POLL",
        "parser.deadline": "flag",
    }


def test_a_profile_overrides_the_sections_of_the_file_and_no_other_profile_does(toml: Toml) -> None:
    toml("""
        [parser]
        tier = "fast"
        [profile.staging.parser]
        tier = "agentic"
        [profile.production.parser]
        tier = "agentic_plus"
    """)
    assert load(environ={}).parser.tier == "fast"
    staging = load(environ={}, profile="staging")
    assert (staging.profile, staging.parser.tier) == ("staging", "agentic")
    assert staging.origins["parser.tier"] == "docproc.toml [profile.staging]"
    assert load(environ={"DOCPROC_PARSER_TIER": "cost_effective"}, profile="staging").parser.tier == "cost_effective"


def test_the_profile_is_named_by_flag_then_environment_then_default(toml: Toml) -> None:
    toml("[profile.staging]\n[profile.production]\n")
    assert load(environ={}).profile == DEFAULT_PROFILE == "local"
    assert load(environ={"DOCPROC_PROFILE": "staging"}).profile == "staging"
    assert load(environ={"DOCPROC_PROFILE": "staging"}, profile="production").profile == "production"


def test_flags_that_were_not_given_and_empty_variables_override_nothing(toml: Toml) -> None:
    toml('user = "ada"\n[runner]\nlease = 99\n')
    environ = {"DOCPROC_RUNNER_LEASE": "", "DOCPROC_USER": "", "DOCPROC_PROFILE": "", "DOCPROC_CONFIG": ""}
    settings = load(environ=environ, flags={"runner.lease": None, "user": None})
    assert (settings.user, settings.runner.lease) == ("ada", 99)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_has_a_variable(section: str) -> None:
    table = getattr(Settings(), section)
    for field in fields(table):
        name, default = f"DOCPROC_{section}_{field.name}".upper(), getattr(table, field.name)
        value = ";".join(default) if isinstance(default, tuple) else str(default)
        if isinstance(default, dict):
            value = "; ".join(f"{entry}={number}" for entry, number in default.items())
        settings = load(environ={name: value or "other"})
        key = f"{section}.{field.name}"
        entries = [f"{key}.{entry}" for entry in default] if isinstance(default, dict) else []
        assert settings.origins == dict.fromkeys([key, *entries], name)
        if value:
            assert getattr(getattr(settings, section), field.name) == default


@pytest.mark.parametrize("profile", ["local", "staging", "production"])
def test_the_shipped_file_has_the_three_profiles(profile: str) -> None:
    assert load(config=SHIPPED, profile=profile, environ={}).profile == profile


# ── where the file and the home are ─────────────────────────────────────────────────────────────────────────────────


def test_the_file_is_named_by_flag_then_environment_then_the_working_directory(toml: Toml, tmp_path: Path) -> None:
    toml('user = "here"')
    named, variable = tmp_path / "named.toml", tmp_path / "variable.toml"
    named.write_text('user = "named"')
    variable.write_text('user = "variable"')
    assert load(environ={}).user == "here"
    assert load(environ={"DOCPROC_CONFIG": str(variable)}).user == "variable"
    assert load(environ={"DOCPROC_CONFIG": str(variable)}, config=named).user == "named"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    assert str(missing) in complaint(config=missing).what
    assert str(missing) in complaint({"DOCPROC_CONFIG": str(missing)}).what


def test_home_is_beside_the_file_in_use(tmp_path: Path, here: Path) -> None:
    other = tmp_path / "project" / "docproc.toml"
    other.parent.mkdir()
    other.write_text("")
    assert load(config=other, environ={}).home == tmp_path / "project" / ".docproc"
    assert load(environ={}).home == here / ".docproc"
    assert load(config=Path("../project/docproc.toml"), environ={}).home.resolve() == tmp_path / "project/.docproc"


def test_docproc_home_decides_and_is_absolute(toml: Toml, here: Path, tmp_path: Path) -> None:
    toml("")
    assert load(environ={"DOCPROC_HOME": str(tmp_path / "home")}).home == tmp_path / "home"
    assert load(environ={"DOCPROC_HOME": "home"}).home == here / "home"


@pytest.mark.parametrize("content", [b"[parser", b"user = \xff", b"tier = 1\ntier = 2"])
def test_a_file_that_is_no_toml_is_an_error(here: Path, content: bytes) -> None:
    (here / "docproc.toml").write_bytes(content)
    assert "not valid TOML" in complaint().what


# ── names that nobody knows ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "name", "nearest"),
    [
        ('[parsr]\ntier = "fast"', "section parsr", "parser"),
        ('[parser]\nteir = "fast"', "key parser.teir", "parser.tier"),
        ('usr = "ada"', "section usr", "user"),
        ('[profil.staging]\nuser = "ada"', "section profil", "profile"),
        ("[profile.staging.runer]\nlease = 1", "section runer", "runner"),
        ("[profile.staging.runner]\nleese = 1", "key runner.leese", "runner.lease"),
        ('[parser]\ntier = "agentik"', "value agentik", "agentic"),
        ('[storage]\nbackend = "supabse"', "value supabse", "supabase"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest_known_one(toml: Toml, text: str, name: str, nearest: str) -> None:
    toml(text)
    error = complaint()
    assert error.code == "config.unknown_key"
    assert error.what == f"unknown {name}"
    assert error.remedy == f"did you mean {nearest}?"
    assert "docproc.toml" in error.why


def test_an_unknown_name_that_is_near_to_nothing_is_told_with_all_known_ones(toml: Toml) -> None:
    toml("[zzz]\n")
    assert complaint().remedy.startswith("known: ingest, storage, parser")


def test_an_unknown_profile_is_an_error_also_without_a_file(toml: Toml) -> None:
    assert complaint(profile="staging").what == "unknown profile staging"
    toml("[profile.staging]\n")
    assert complaint(profile="stagign").remedy == "did you mean staging?"
    assert complaint({"DOCPROC_PROFILE": "stagign"}).remedy == "did you mean staging?"


def test_an_unknown_value_of_a_variable_names_the_variable() -> None:
    error = complaint({"DOCPROC_EMBEDDER_SERVICE": "reel"})
    assert (error.remedy, error.why) == ("did you mean real?", "in embedder.service in DOCPROC_EMBEDDER_SERVICE")


@pytest.mark.parametrize(
    "text", ["profile = 'staging'", "[profile]\nstaging = 1", "parser = 'fast'", "[profile.staging]\nparser = 1"]
)
def test_a_value_where_a_table_belongs_is_an_error(toml: Toml, text: str) -> None:
    toml(text)
    complaint()


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[ingest]\nmax_bytes = 'many'", "ingest.max_bytes"),
        ("[ingest]\nmax_bytes = -1", "ingest.max_bytes"),
        ("[ingest]\nmax_bytes = true", "ingest.max_bytes"),
        ("[ingest]\nmax_bytes = 1.5", "ingest.max_bytes"),
        ("[ingest]\nmax_bytes = inf", "ingest.max_bytes"),
        ("[ingest]\nmax_bytes = [1]", "ingest.max_bytes"),
        ("[runner]\nlease = inf", "runner.lease"),
        ("[runner]\nlease = nan", "runner.lease"),
        ("[runner]\nlease = -0.5", "runner.lease"),
        ("[runner]\nlease = '1 h'", "runner.lease"),
        ("[storage]\nbucket = 3", "storage.bucket"),
        ("[mocks]\nfaults = 3", "mocks.faults"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_with_its_key_and_origin(toml: Toml, text: str, key: str) -> None:
    toml(text)
    error = complaint()
    assert error.code == "config.invalid"
    assert error.what.startswith(f"{key} = ")
    assert "docproc.toml" in error.what
    assert error.why.startswith("it must be ")


@pytest.mark.parametrize("value", ["1.5", "-1", "many", "1e400", "inf"])
def test_a_variable_that_is_no_whole_number_is_named(value: str) -> None:
    assert "DOCPROC_RUNNER_MAX_ATTEMPTS" in complaint({"DOCPROC_RUNNER_MAX_ATTEMPTS": value}).what


def test_a_heartbeat_that_does_not_fit_twice_into_the_lease_is_refused_with_both_keys(toml: Toml) -> None:
    toml("[runner]\nlease = 10\n")
    with pytest.raises(ConfigError, match=r"runner\.heartbeat = 5\.5 \(DOCPROC_RUNNER_HEARTBEAT\).*runner\.lease = 10"):
        load(environ={"DOCPROC_RUNNER_HEARTBEAT": "5.5"})
    with pytest.raises(ConfigError, match=r"runner\.heartbeat = 30 \(default\)"):
        load(environ={})
    assert load(environ={"DOCPROC_RUNNER_HEARTBEAT": "5"}).runner.heartbeat == 5


def test_numbers_keep_the_kind_of_their_field(toml: Toml) -> None:
    toml("[runner]\nlease = 90\n[ingest]\nmax_bytes = 512_000\n")
    settings = load(environ={"DOCPROC_RUNNER_HEARTBEAT": "7", "DOCPROC_RUNNER_MAX_ATTEMPTS": "3"})
    values = (settings.runner.lease, settings.runner.heartbeat, settings.ingest.max_bytes, settings.runner.max_attempts)
    assert [(type(value), value) for value in values] == [(float, 90), (float, 7), (int, 512_000), (int, 3)]


def test_a_list_is_written_with_semicolons_in_the_environment(toml: Toml) -> None:
    toml('[mocks]\nfaults = ["one", "two"]')
    assert load(environ={}).mocks.faults == ("one", "two")
    assert load(environ={"DOCPROC_MOCKS_FAULTS": "three;four"}).mocks.faults == ("three", "four")


@pytest.mark.parametrize("user", ["default", "ada@example.com", "A_b-c.9", "_", "x" * 128])
def test_good_user_names(user: str) -> None:
    assert load(environ={"DOCPROC_USER": user}).user == user
    assert load(environ={}, flags={"user": user}).user == user


@pytest.mark.parametrize("user", [".", "..", ".hidden", "a/b", "a\\b", "a b", "ä", "a\n", "\x00", "x" * 129, "*"])
def test_bad_user_names(user: str) -> None:
    for error in (complaint({"DOCPROC_USER": user}), complaint(flags={"user": user})):
        assert error.code == "config.invalid"
        assert repr(user) in error.what


@pytest.mark.parametrize("text", ["user = ''", "user = 3", "user = ['ada']"])
def test_a_user_in_the_file_is_a_name_too(toml: Toml, text: str) -> None:
    toml(text)
    assert "docproc.toml" in complaint().what


def test_an_empty_user_by_flag_is_refused() -> None:
    assert "flag" in complaint(flags={"user": ""}).what
