"""Reads the settings from docproc.toml, the environment and flags, with the origin of every value."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any, get_origin, get_type_hints

from docproc.errors import ConfigError
from docproc.settings import DEFAULT_PROFILE, SECTIONS, ParserSettings, Secret, Secrets, Settings

FILE_NAME = "docproc.toml"

ALIASES = {
    "llama_cloud_api_key": "LLAMAPARSE_API_KEY",
    "llama_cloud_base_url": "LLAMAPARSE_API_URL",
    "openai_base_url": "OPENAI_API_URL",
}
_AWS = {
    "AWS_REGION": "storage.region",
    "AWS_DEFAULT_REGION": "storage.region",
    "AWS_ENDPOINT_URL_S3": "storage.endpoint",
    "AWS_ENDPOINT_URL": "storage.endpoint",
}
"""The variables of AWS's own tools, the stronger first: they count with S3 alone, and where nothing else is told."""

LOCAL = ParserSettings(timeout=20.0, reconcile_grace=1.0)
"""The local profile's defaults of [parser]: the mock answers at once, and its list of jobs is never late."""

_CHOICES = {
    "storage.backend": ("local", "supabase", "s3"),
    "parser.service": ("mock", "real"),
    "embedder.service": ("mock", "real"),
    "validate.extra_pages": ("warn", "refuse"),
    "search.index": ("hnsw", "halfvec", "none"),
    "parser.tier": ("fast", "cost_effective", "agentic", "agentic_plus"),
}
_USER = re.compile(r"[A-Za-z0-9@_-][A-Za-z0-9@._-]{0,127}")


def load(
    *,
    config: Path | None = None,
    profile: str | None = None,
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
    alongside: bool = False,
) -> Settings:
    """Reads the settings: flag, then ``DOCPROC_*`` variable, then docproc.toml, then default; only set values override.

    ``flags`` maps ``section.key`` (or ``user``) to a value, None where the flag was not given. With ``alongside`` the
    profile is opened beside the active one, to be compared with it: ``local`` then has no secrets but ``LOCAL_*``.
    Raises ConfigError for a file, profile, key or value that is not right.
    """
    environ = os.environ if environ is None else environ
    path = _find(config, environ)
    tables = _read(path) if path else {}
    profiles = _tables(tables.pop("profile", {}), where=f"{path}, profile")
    name = profile or environ.get("DOCPROC_PROFILE") or DEFAULT_PROFILE
    if name not in profiles and name != DEFAULT_PROFILE:
        raise _unknown("profile", name, [*profiles, DEFAULT_PROFILE], where=str(path or "no docproc.toml found"))
    values: dict[str, tuple[object, str]] = {}
    values |= _flatten(tables, where=str(path))
    for other, table in profiles.items():
        flat = _flatten(table, where=f"{path} [profile.{other}]")
        if other == name:
            values |= flat
    values |= _from_environment(environ)
    values |= {key: (value, "flag") for key, value in (flags or {}).items() if value is not None}
    if values.get("storage.backend", ("", ""))[0] == "s3":
        values = _from_aws(environ, name) | values
    # Beside another profile, what stands under the plain names is the other's: local is the laptop's own.
    secrets = _secrets(environ, name, plain=not (alongside and name == DEFAULT_PROFILE))
    values |= {f"secrets.{key}": secret for key, secret in secrets.items()}
    values |= {"home": (environ["DOCPROC_HOME"], "DOCPROC_HOME")} if environ.get("DOCPROC_HOME") else {}
    told = Secrets(**{key: value for key, (value, _) in secrets.items()})
    settings = replace(defaults(name), home=_home(path, environ), secrets=told, origins=_origins(values))
    return _apply(settings, values)


def defaults(profile: str) -> Settings:
    """What holds in ``profile`` when nothing is told."""
    return Settings(profile=profile, parser=LOCAL) if profile == DEFAULT_PROFILE else Settings(profile=profile)


def _find(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    named = config or (Path(environ["DOCPROC_CONFIG"]) if environ.get("DOCPROC_CONFIG") else None)
    if named and not named.is_file():
        raise ConfigError("config.invalid", f"no configuration file {named}", try_="check --config or DOCPROC_CONFIG")
    here = Path(FILE_NAME)
    return named or (here if here.is_file() else None)


def _home(path: Path | None, environ: Mapping[str, str]) -> Path:
    if environ.get("DOCPROC_HOME"):
        return Path(environ["DOCPROC_HOME"]).absolute()
    return (path.parent if path else Path()).absolute() / ".docproc"


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("config.invalid", f"{path} is not valid TOML", why=str(error)) from None
    except OSError as error:
        raise ConfigError("config.invalid", f"{path} cannot be read", why=error.strerror or str(error)) from None


def _flatten(tables: Mapping[str, Any], *, where: str) -> dict[str, tuple[object, str]]:
    """``{"parser": {"tier": "fast"}}`` as ``{"parser.tier": ("fast", where)}``; unknown names are errors."""
    flat: dict[str, tuple[object, str]] = {}
    for section, table in _tables(tables, where=where).items():
        if section == "user":
            flat["user"] = (table, where)
            continue
        if section not in SECTIONS:
            raise _unknown("section", section, [*SECTIONS, "user", "profile"], where=where)
        known = [f.name for f in fields(_section_type(section))]
        for key, value in _tables(table, where=f"{where}, {section}").items():
            if key not in known:
                raise _unknown("key", f"{section}.{key}", [f"{section}.{k}" for k in known], where=where)
            flat |= _entries(f"{section}.{key}", value, where)
    return flat


def _entries(key: str, value: object, origin: str) -> dict[str, tuple[object, str]]:
    """A value by its key; each entry of a table by itself, so that one may be told and the others stay as they are."""
    if not _is_table(key):
        return {key: (value, origin)}
    if isinstance(value, str):
        value = dict(part.rpartition("=")[::2] for part in value.split(";") if part.strip())
    return {f"{key}.{name.strip()}": (told, origin) for name, told in _tables(value, where=f"{origin}, {key}").items()}


def _is_table(key: str) -> bool:
    section, _, name = key.partition(".")
    return get_origin(get_type_hints(_section_type(section))[name]) is Mapping


def _tables(value: object, *, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError("config.invalid", f"{value!r} stands where a table belongs", why=f"in {where}")
    return value


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    names = {"DOCPROC_USER": "user"}
    for section in SECTIONS:
        for f in fields(_section_type(section)):
            names[f"DOCPROC_{section}_{f.name}".upper()] = f"{section}.{f.name}"
    found: dict[str, tuple[object, str]] = {}
    for name, key in names.items():
        if environ.get(name):
            found |= {key: (environ[name], name)} if key == "user" else _entries(key, environ[name], name)
    return found


def _from_aws(environ: Mapping[str, str], profile: str) -> dict[str, tuple[object, str]]:
    found: dict[str, tuple[object, str]] = {}
    for variable, key in reversed(_AWS.items()):
        for name in (variable, variable_of(profile, variable)):
            if environ.get(name):
                found[key] = (environ[name], name)
    return found


def _secrets(environ: Mapping[str, str], profile: str, *, plain: bool) -> dict[str, tuple[Secret, str]]:
    """Each secret that is set, with the variable that it comes from: the profile's own first, then the ``plain``."""
    found: dict[str, tuple[Secret, str]] = {}
    for f in fields(Secrets):
        names = (f.name.upper(), *([ALIASES[f.name]] if f.name in ALIASES else []))
        for name in (*(variable_of(profile, name) for name in names), *(names if plain else ())):
            value = _secret(environ, name)
            if value is not None:
                found[f.name] = value
                break
    return found


def variable_of(profile: str, name: str) -> str:
    """The variable that holds a profile's own secret: ``STAGING_DATABASE_URL``."""
    return f"{re.sub('[^A-Z0-9]', '_', profile.upper())}_{name}"


def _secret(environ: Mapping[str, str], name: str) -> tuple[Secret, str] | None:
    value, origin = environ.get(name), name
    if not value:
        value, origin = _secret_file(environ.get(f"{name}_FILE"), name), f"{name}_FILE"
    return (Secret(value.strip()), origin) if value and value.strip() else None


def _secret_file(file: str | None, name: str) -> str | None:
    if not file:
        return None
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise ConfigError("config.invalid", f"the file that {name}_FILE names cannot be read: {file}") from None


def _origins(values: Mapping[str, tuple[object, str]]) -> dict[str, str]:
    # Of a table each entry that was told, and the table itself.
    tables = {".".join(key.split(".", 2)[:2]): origin for key, (_, origin) in values.items()}
    return tables | {key: origin for key, (_, origin) in values.items()}


def _apply(settings: Settings, values: Mapping[str, tuple[object, str]]) -> Settings:
    changes: dict[str, Any] = {}
    for section in SECTIONS:
        now = getattr(settings, section)
        hints = get_type_hints(_section_type(section))
        given: dict[str, Any] = {}
        for key, (value, origin) in values.items():
            of, _, rest = key.partition(".")
            if of == section:
                name, _, entry = rest.partition(".")
                if get_origin(hints[name]) is Mapping:
                    entries = given.get(name, getattr(now, name))
                    given[name] = {**entries, entry: _convert(key, value, float, origin)}
                else:
                    given[name] = _convert(key, value, hints[name], origin)
        changes[section] = replace(now, **given)
    user, origin = values.get("user", (settings.user, "default"))
    if not isinstance(user, str) or not _USER.fullmatch(user):
        raise ConfigError(
            "config.invalid",
            f"user {str(user)!r} ({origin}) is not a name",
            why="a user is 1 to 128 of A-Z a-z 0-9 @ . _ - and does not begin with a dot",
        )
    if user.startswith("docproc-trial-"):
        why = "users of this name exist for one trial each: cleanup removes what they leave"
        raise ConfigError("config.invalid", f"user {user!r} ({origin}) is not free", why=why)
    settings = replace(settings, user=user, **changes)
    _check_heartbeat(settings)
    _check_share(settings)
    _check_date(settings)
    return settings


def _check_heartbeat(settings: Settings) -> None:
    beat, lease = settings.runner.heartbeat, settings.runner.lease
    if beat > lease / 2:
        shown = {key: settings.origins.get(f"runner.{key}", "default") for key in ("heartbeat", "lease")}
        raise ConfigError(
            "config.invalid",
            f"runner.heartbeat = {beat:g} ({shown['heartbeat']}) is too long for"
            f" runner.lease = {lease:g} ({shown['lease']})",
            why="one beat that comes late would cost the lease: two must fit into it",
            try_=f"runner.heartbeat = {lease / 4:g}",
        )


def _check_share(settings: Settings) -> None:
    share = settings.alerts.failed_share
    if share > 1:
        origin = settings.origins.get("alerts.failed_share", "default")
        what = f"alerts.failed_share = {share:g} ({origin}) is no share"
        raise ConfigError("config.invalid", what, why="it must be between 0 (off) and 1", try_="0.2 for a fifth")


def _check_date(settings: Settings) -> None:
    told = settings.prices.as_of
    try:
        date.fromisoformat(told)
    except ValueError:
        origin = settings.origins.get("prices.as_of", "default")
        raise ConfigError(
            "config.invalid", f"prices.as_of = {told!r} ({origin}) is no day", try_="write it as 2026-10-15"
        ) from None


def _convert(key: str, value: object, kind: type, origin: str) -> object:
    converted: object = None
    if kind in (int, float) and isinstance(value, int | float | str) and not isinstance(value, bool):
        converted = _number(value, kind)
    elif kind is str and isinstance(value, str | date):
        converted = str(value)
    elif kind not in (int, float, str) and isinstance(value, str | list | tuple):
        converted = tuple(value.split(";") if isinstance(value, str) else map(str, value))
    if converted is None:
        wanted = {int: "a whole number, 0 or more", float: "a number, 0 or more", str: "a string"}.get(kind, "a list")
        raise ConfigError("config.invalid", f"{key} = {value!r} ({origin}) is not valid", why=f"it must be {wanted}")
    if key in _CHOICES and converted not in _CHOICES[key]:
        raise _unknown("value", str(converted), _CHOICES[key], where=f"{key} in {origin}")
    return converted


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``90s``, ``45m``, ``2h``, ``30d``. Raises ConfigError for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if found is None:
        raise ConfigError("config.invalid", f"{text!r} is not a duration", try_="90s, 45m, 2h or 30d")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}[found[2]]


def _number(value: float | str, kind: type) -> object:
    try:
        number = kind(value)
    except (ValueError, OverflowError):
        return None
    if isinstance(value, float) and number != value:
        return None
    return number if 0 <= number < float("inf") else None


def _unknown(kind: str, name: str, known: Iterable[str], *, where: str) -> ConfigError:
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f"did you mean {near[0]}?" if near else "known: " + ", ".join(names)
    return ConfigError("config.unknown_key", f"unknown {kind} {name}", why=f"in {where}", try_=guess)


def _section_type(section: str) -> type:
    return type(getattr(Settings(), section))
