"""Checks of the embedder, by calls that cost nothing, and one that is paid for."""

from __future__ import annotations

from docproc import tokens
from docproc.app import missing
from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.errors import ConfigError

WORD = "check"
"""What is embedded: one token."""

TOLERANCE = 0.01
"""How far from 1 a vector's length may be: OpenAI's are normalised, and sent as float32."""


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


def paid(it: Deployment) -> Finding:
    """Does the model embed, in the configured dimensions? (Paid for: one token.)"""
    told, service = it.app.settings.embedder, it.embedder_service()
    answer = it.app.embedder.embed([WORD], model=told.model, dimensions=told.dimensions)
    count = tokens.count(WORD) if answer.tokens is None else answer.tokens
    cost = f"{count} token{'' if count == 1 else 's'}{' paid for' if service.kind == 'real' else ', of a mock'}"
    norm = float((answer.vectors[0].astype(float) ** 2).sum()) ** 0.5
    if abs(norm - 1.0) > TOLERANCE:
        return problem(f"a vector of length {norm:.3f}; {cost}", expected="a vector of length 1")
    return ok(f"{told.dimensions} dimensions of {told.model}; {cost}")


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

PAID = (
    Check(
        "embedder.paid",
        "embedder",
        "error",
        "a finite vector of length 1",
        "see what the provider says; correct [embedder] model and dimensions",
        paid,
        ("embedder.model", "configuration.dimensions"),
        network=True,
        seconds=75.0,
    ),
)
"""Asked only with ``--paid``; above the 60 s of a call's own timeout."""
