"""A baseline: an environment in a file, to be compared with later."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docproc.drift import Environment
from docproc.errors import ConfigError

SCHEMA = 1
"""The version of the file's form."""

_WRITE_ONE = "docproc validate-deploy --write-baseline FILE writes one"
_PARTS = {"configuration": "configuration", "secrets": "secrets", "versions": "versions", "schema": "database_schema"}
"""Where the parts of an environment stand in the file."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the file holds; ``results`` and ``performance`` are JSON, None where they were not measured."""

    environment: Environment
    results: Any = None
    performance: Any = None


def refuse_other(path: Path) -> None:
    """Raises ConfigError when a baseline in ``path`` would be written over a file that is none."""
    if path.exists():
        try:
            read(path)
        except ConfigError as error:
            why, try_ = f"{path} is there, and is no baseline", "name another file, or remove this one"
            raise ConfigError(error.code, f"{path} is not overwritten", why=why, try_=try_) from None


def read(path: Path) -> Baseline:
    """The baseline in ``path``. Raises ConfigError for a file that is none, or that a later docproc wrote."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _no_baseline(path, error.strerror or str(error)) from None
    except ValueError as error:  # neither UTF-8 nor JSON
        raise _no_baseline(path, f"no JSON: {error}") from None
    if not isinstance(document, dict) or not isinstance(document.get("schema"), int):
        raise _no_baseline(path, 'it has no "schema"')
    if document["schema"] > SCHEMA:
        raise ConfigError(
            "config.invalid",
            f"{path} was written by a later docproc",
            why=f"its schema is {document['schema']}, this docproc reads {SCHEMA}",
            try_="use the docproc that wrote it, or write it again",
        )
    return Baseline(_environment(path, document), document.get("results"), document.get("performance"))


def renewed(path: Path, environment: Environment) -> Baseline:
    """A baseline of ``environment``; what else the one in ``path`` holds, if there is any, stays.

    Raises ConfigError when ``path`` is a file that is no baseline, and what ``environment`` could not be asked for.
    """
    if environment.trouble is not None:
        raise environment.trouble
    return replace(read(path), environment=environment) if path.exists() else Baseline(environment)


def write(path: Path, baseline: Baseline) -> None:
    """Writes the file whole or not at all, for its owner alone; the same environment gives the same bytes."""
    environment = baseline.environment
    document: dict[str, Any] = {"schema": SCHEMA, "profile": environment.profile}
    document |= {key: getattr(environment, name) for name, key in _PARTS.items()}
    document |= {key: part for key in ("results", "performance") if (part := getattr(baseline, key)) is not None}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        with suppress(OSError):  # the first error is the one to tell
            draft.unlink(missing_ok=True)
        raise ConfigError(
            "config.invalid", f"the baseline {path} cannot be written", why=error.strerror or str(error)
        ) from None


def _environment(path: Path, document: Mapping[str, Any]) -> Environment:
    parts = {name: document.get(key) for name, key in _PARTS.items()}
    wrong = sorted(_PARTS[name] for name, part in parts.items() if not isinstance(part, dict))
    if not isinstance(document.get("profile"), str):
        wrong.append("profile")
    for secret in (parts["secrets"] or {}).values() if "secrets" not in wrong else ():
        if secret is not None and not (isinstance(secret, dict) and isinstance(secret.get("fingerprint"), str)):
            wrong.append("secrets")
    if wrong:
        raise _no_baseline(path, f"it has no {', no '.join(dict.fromkeys(wrong))} as a baseline has")
    told = {name: dict(part or {}) for name, part in parts.items()}
    return Environment(
        profile=document["profile"],
        configuration=told["configuration"],
        secrets=told["secrets"],
        versions=told["versions"],
        schema=told["schema"],
    )


def _no_baseline(path: Path, why: str) -> ConfigError:
    return ConfigError("config.invalid", f"{path} is no baseline", why=why, try_=_WRITE_ONE)
