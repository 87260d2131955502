"""Everything that docproc is told, with its origin: settings in clear, secrets as fingerprints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from docproc import config
from docproc.settings import SECTIONS, Secrets, Settings

SALT = b"docproc.secret-fingerprint.1"
"""The same everywhere, so that fingerprints of two environments can be compared."""

DIGITS = 8
"""Hex digits of a fingerprint: enough to see a change, too few to be sure of a guess."""


@dataclass(frozen=True, slots=True)
class Value:
    """A setting: its ``section.key``, its value and default as JSON has them, and where the value comes from."""

    key: str
    value: Any
    default: Any
    origin: str

    @property
    def is_changed(self) -> bool:
        """Whether it is another than the default."""
        return bool(self.value != self.default)


@dataclass(frozen=True, slots=True)
class Known:
    """A secret, without itself: empty ``fingerprint`` and ``origin`` where it is not set.

    ``leads_to`` says where an address goes, without user and password, or with the user only for a database.
    """

    name: str
    origin: str = ""
    fingerprint: str = ""
    leads_to: Mapping[str, str] = field(default_factory=dict)


def values(settings: Settings) -> Iterator[Value]:
    """Every setting, in the order of docs/configuration.md, after the folder of docproc's own."""
    plain, origins = config.defaults(settings.profile), settings.origins
    home = str(settings.home)
    # Its default is a place, not a value: what nobody told is as it is by default.
    yield Value("home", home, ".docproc" if "home" in origins else home, origins.get("home", "default"))
    yield Value("user", settings.user, plain.user, origins.get("user", "default"))
    for section in SECTIONS:
        now, before = getattr(settings, section), getattr(plain, section)
        for f in fields(now):
            key = f"{section}.{f.name}"
            told, default = (_json(getattr(values, f.name)) for values in (now, before))
            yield Value(key, told, default, origins.get(key, "default"))


def secrets(settings: Settings) -> Iterator[Known]:
    """Every secret that docproc can be told, set or not."""
    for f in fields(Secrets):
        name, value = f.name.upper(), getattr(settings.secrets, f.name)
        if value is None:
            yield Known(name)
        else:
            origin = settings.origins.get(f"secrets.{f.name}", "")
            yield Known(name, origin, fingerprint(value), _leads_to(name, value))


def fingerprint(secret: str) -> str:
    """A few hex digits that change with ``secret`` and do not give it away.

    scrypt (RFC 7914) with n = 2^14, r = 8, p = 1, which are its author's values for interactive use: about 50 ms and
    16 MB a guess, so that a short password is not found by trying them all.
    """
    return hashlib.scrypt(secret.encode(), salt=SALT, n=2**14, r=8, p=1, dklen=DIGITS // 2).hex()


def _leads_to(name: str, value: str) -> dict[str, str]:
    if name == "DATABASE_URL":
        from docproc.postgres.facts import parts

        return parts(value)
    if not name.endswith("_URL"):
        return {}
    try:
        address = urlsplit(value)
        port = f":{address.port}" if address.port else ""
    except ValueError:  # no address: the checks say so
        return {}
    return {"host": f"{address.hostname}{port}"} if address.hostname else {}


def _json(value: object) -> Any:
    return list(value) if isinstance(value, tuple) else value
