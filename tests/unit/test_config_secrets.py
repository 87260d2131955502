"""Holds the secrets to their variables, aliases and files, and to never being shown."""

from __future__ import annotations

import pickle
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from docproc.config import ALIASES, load
from docproc.errors import ConfigError
from docproc.settings import Secret, Secrets

SECRET = "s3cr3t-v4lue"
NAMES = [field.name for field in fields(Secrets)]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_is_read_from_its_variable_and_from_a_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(f"  {SECRET}\n")
    for environ in ({name.upper(): SECRET}, {f"{name.upper()}_FILE": str(file)}):
        secrets = load(environ=environ).secrets
        assert getattr(secrets, name) == SECRET
        assert [other for other in NAMES if getattr(secrets, other) is not None] == [name]


@pytest.mark.parametrize(("name", "alias"), ALIASES.items())
def test_a_secret_has_its_alias_behind_its_name(name: str, alias: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("filed")
    name_of = name.upper()
    assert getattr(load(environ={alias: SECRET}).secrets, name) == SECRET
    assert getattr(load(environ={f"{alias}_FILE": str(file)}).secrets, name) == "filed"
    assert getattr(load(environ={alias: "other", name_of: SECRET}).secrets, name) == SECRET
    assert getattr(load(environ={alias: "other", f"{name_of}_FILE": str(file)}).secrets, name) == "filed"


def test_a_variable_goes_before_its_file(tmp_path: Path) -> None:
    environ = {"OPENAI_API_KEY": SECRET, "OPENAI_API_KEY_FILE": str(tmp_path / "missing")}
    assert load(environ=environ).secrets.openai_api_key == SECRET


@pytest.mark.parametrize("blank", ["", " ", "\n", " \t\r\n"])
def test_a_blank_secret_is_none(blank: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(blank)
    assert load(environ={"DATABASE_URL": blank}).secrets.database_url is None
    assert load(environ={"DATABASE_URL_FILE": str(file)}).secrets.database_url is None


def test_a_secret_file_that_cannot_be_read_is_named_without_its_content(tmp_path: Path) -> None:
    binary = tmp_path / "secret"
    binary.write_bytes(SECRET.encode() + b"\xff")
    for path in (tmp_path / "missing", tmp_path, binary):
        with pytest.raises(ConfigError) as caught:
            load(environ={"DATABASE_URL_FILE": str(path)})
        error = caught.value
        assert "DATABASE_URL_FILE" in error.what
        assert str(path) in error.what
        assert SECRET not in str(error) + repr(vars(error))


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_in_no_repr(name: str) -> None:
    settings = load(environ={name.upper(): SECRET})
    shown = [settings, settings.secrets, asdict(settings), getattr(settings.secrets, name), [settings.secrets]]
    assert not [each for each in shown if SECRET in f"{each!r}"]
    assert SECRET not in f"{settings} {settings.secrets}"


def test_a_secret_is_a_string_and_survives_a_copy() -> None:
    secret = Secret(SECRET)
    assert f"Bearer {secret}" == f"Bearer {SECRET}"
    copied = pickle.loads(pickle.dumps(secret))
    assert (copied, repr(copied)) == (secret, "Secret('…')")


@pytest.mark.parametrize("name", NAMES)
def test_a_secret_in_the_file_is_an_unknown_name(here: Path, name: str) -> None:
    (here / "docproc.toml").write_text(f'[secrets]\n{name} = "{SECRET}"')
    with pytest.raises(ConfigError) as caught:
        load(environ={})
    error = caught.value
    assert error.code == "config.unknown_key"
    assert SECRET not in str(error) + repr(vars(error))


# ── secrets of a profile ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def profiles(here: Path) -> None:
    """A docproc.toml with two profiles beside local."""
    (here / "docproc.toml").write_text("[profile.staging]\n[profile.pre-live]\n")


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize("name", NAMES)
def test_a_profile_s_own_secret_goes_before_the_plain_one_and_serves_no_other_profile(
    name: str, tmp_path: Path
) -> None:
    plain, file = name.upper(), tmp_path / "secret"
    file.write_text("filed")
    for own, value in ((f"PRE_LIVE_{plain}", SECRET), (f"PRE_LIVE_{plain}_FILE", "filed")):
        environ = {plain: "plain", own: str(file) if own.endswith("_FILE") else SECRET}
        settings = load(environ=environ, profile="pre-live")
        assert getattr(settings.secrets, name) == value
        assert settings.origins[f"secrets.{name}"] == own
        other = load(environ=environ, profile="staging")
        assert getattr(other.secrets, name) == "plain"
        assert other.origins[f"secrets.{name}"] == plain


@pytest.mark.usefixtures("profiles")
@pytest.mark.parametrize(("name", "alias"), ALIASES.items())
def test_a_profile_s_own_alias_goes_before_the_plain_name(name: str, alias: str) -> None:
    environ = {name.upper(): "plain", f"STAGING_{alias}": SECRET}
    settings = load(environ=environ, profile="staging")
    assert getattr(settings.secrets, name) == SECRET
    assert settings.origins[f"secrets.{name}"] == f"STAGING_{alias}"


def test_an_empty_secret_of_the_profile_leaves_the_plain_one() -> None:
    assert load(environ={"LOCAL_DATABASE_URL": "", "DATABASE_URL": SECRET}).secrets.database_url == SECRET


@pytest.mark.usefixtures("profiles")
def test_beside_another_profile_local_has_only_its_own_secrets() -> None:
    environ = {"DATABASE_URL": SECRET, "LOCAL_OPENAI_API_KEY": "own", "OPENAI_API_KEY": SECRET, "DOCPROC_USER": "ada"}
    settings = load(environ=environ, profile="local", alongside=True)
    assert settings.secrets == Secrets(openai_api_key=Secret("own"))
    assert settings.user == "ada"
    assert load(environ=environ, profile="local").secrets.database_url == SECRET
    assert load(environ=environ, profile="staging", alongside=True).secrets.database_url == SECRET
