"""Checks of the paid parser, by calls that cost nothing."""

from __future__ import annotations

from docproc.app import missing
from docproc.checks import Check, Deployment, Finding, ok, problem


def configured(it: Deployment) -> Finding:
    """Do the settings name a key where the parser is a real one?"""
    settings = it.app.settings
    if settings.parser.service == "real" and settings.secrets.llama_cloud_api_key is None:
        raise missing("LLAMA_CLOUD_API_KEY", settings)
    return ok(settings.parser.service)


def key(it: Deployment) -> Finding:
    """Does the parser answer, and accept the key?"""
    service = it.parser_service()
    it.app.parser.check()
    return ok(f"{service.kind}, {service.base_url or 'the vendor'}")


def version(it: Deployment) -> Finding:
    """Does the parser offer the version that is pinned?"""
    versions, wanted = it.app.parser.check(), it.app.settings.parser.version
    if versions and wanted not in versions and wanted != "latest":
        return problem(f"version {wanted} is not offered", f"[parser] version: one of {', '.join(versions)}")
    return ok(f"version {wanted}")


CHECKS = (
    Check(
        "parser.configured",
        "parser",
        "error",
        "LLAMA_CLOUD_API_KEY",
        "set LLAMA_CLOUD_API_KEY in the environment",
        configured,
    ),
    Check(
        "parser.key",
        "parser",
        "error",
        "an answer to the key",
        "set LLAMA_CLOUD_API_KEY to a key that the service accepts",
        key,
        ("parser.configured",),
        network=True,
    ),
    Check(
        "parser.version",
        "parser",
        "error",
        "the pinned version",
        "correct [parser] version",
        version,
        ("parser.key",),
        network=True,
    ),
)
