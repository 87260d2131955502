"""Checks of the embedder, by calls that cost nothing."""

from __future__ import annotations

from docproc.app import missing
from docproc.checks import Check, Deployment, Finding, ok
from docproc.errors import ConfigError


def configured(it: Deployment) -> Finding:
    """Do the settings name a key where the embedder is a real one?"""
    settings = it.app.settings
    if settings.embedder.service == "real" and settings.secrets.openai_api_key is None:
        raise missing("OPENAI_API_KEY", settings)
    return ok(settings.embedder.service)


def key(it: Deployment) -> Finding:
    """Does the embedder answer, and accept the key?"""
    service = it.embedder_service()
    seen = f"{service.kind}, {service.base_url or 'the vendor'}"
    try:
        it.app.embedder.check(it.app.settings.embedder.model)
    except ConfigError:
        return ok(f"{seen}, though not the model")  # the next check's to tell
    return ok(seen)


def model(it: Deployment) -> Finding:
    """Does the embedder know the model?"""
    it.app.embedder.check(it.app.settings.embedder.model)
    return ok(it.app.settings.embedder.model)


CHECKS = (
    Check(
        "embedder.configured",
        "embedder",
        "error",
        "OPENAI_API_KEY",
        "set OPENAI_API_KEY in the environment",
        configured,
    ),
    Check(
        "embedder.key",
        "embedder",
        "error",
        "an answer to the key",
        "set OPENAI_API_KEY to a key that the service accepts",
        key,
        ("embedder.configured",),
        network=True,
    ),
    Check(
        "embedder.model",
        "embedder",
        "error",
        "a model that the service knows",
        "correct [embedder] model",
        model,
        ("embedder.key",),
        network=True,
    ),
)
