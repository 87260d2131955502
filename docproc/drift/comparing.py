"""Compares two environments, key by key, and says how much each difference matters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docproc.config import variable_of
from docproc.drift import LEVELS, Comparison, Difference, Environment, Part
from docproc.drift.observing import OF_THE_DATABASE
from docproc.drift.rules import rule, same_line

_LACKING = "the baseline was written by another docproc: not compared"


def with_baseline(name: str, before: Environment, now: Environment) -> Comparison:
    """What is not as in the baseline ``name``, the worst first."""
    told = [{**it.configuration, "profile": it.profile} for it in (before, now)]
    found = [*_compared("configuration", *told), *_rest(before, now, profiles=False)]
    return Comparison(name, _sorted(found))


def with_profile(other: Environment, now: Environment) -> Comparison:
    """What is not as in the profile of ``other``, the worst first."""
    found = [*_compared("configuration", other.configuration, now.configuration, profiles=True)]
    found += _rest(other, now, profiles=True)
    if now.place and now.place == other.place:
        why = f"one database, compared with itself: {variable_of(other.profile, 'DATABASE_URL')} names another"
        where = "/".join(part for part in now.place if part)
        found.append(Difference("database", "schema", where, where, "warn", why))
    return Comparison(f"profile {other.profile}", _sorted(found))


def _rest(before: Environment, now: Environment, *, profiles: bool) -> Iterator[Difference]:
    yield from _compared("secret", *_secrets(before, now), profiles=profiles)
    troubles = [it for it in (before, now) if it.trouble is not None]
    unknown = OF_THE_DATABASE if troubles else ()
    versions = [{key: value for key, value in it.versions.items() if key not in unknown} for it in (before, now)]
    yield from _compared("version", *versions, profiles=profiles)
    for it in troubles:
        why = f"schema and server were not compared: {it.trouble}"
        seen = "not reached"
        yield Difference(
            "database", "schema", seen if it is before else None, seen if it is now else None, "error", why
        )
    if not troubles:
        yield from _compared("schema", before.schema, now.schema, profiles=profiles)


def _secrets(before: Environment, now: Environment) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fingerprints by name, and where addresses lead; the latter only where both are set, or all is said already."""
    both = [name for name in before.secrets if before.secrets[name] and now.secrets.get(name)]
    parts = {(name, part) for it in (before, now) for name in both for part in it.secrets[name]}

    def flat(it: Environment) -> dict[str, Any]:
        told = {name: f"set ({secret['fingerprint']})" if secret else None for name, secret in it.secrets.items()}
        leads = {f"{name}.{part}": it.secrets[name].get(part) for name, part in parts if part != "fingerprint"}
        return told | leads

    return flat(before), flat(now)


def _compared(kind: str, before: Part, now: Part, *, profiles: bool = False) -> Iterator[Difference]:
    for what in sorted({*before, *now}):
        then, here = before.get(what), now.get(what)
        if what in before and what in now and then == here:
            continue
        found = rule(kind, what, profiles=profiles)
        severity, why = found.severity, found.why
        if what not in before or what not in now:
            severity, why = ("info" if severity == "info" else "warn"), _LACKING
        elif kind == "version" and what != "docproc" and same_line(what, then, here):
            severity, why = "info", "the same release line"
        yield Difference(f"schema.{what}" if kind == "schema" else what, kind, then, here, severity, why)


def _sorted(found: list[Difference]) -> tuple[Difference, ...]:
    return tuple(sorted(found, key=lambda difference: LEVELS.index(difference.severity)))
