"""Checks of the paid parser, by calls that cost nothing, and one that is paid for."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING
from uuid import uuid4

from docproc.app import missing
from docproc.checks import Check, Deployment, Finding, ok, problem
from docproc.errors import DocprocError, ThrottledError, TransientError
from docproc.parsers import Progress, open_parser

if TYPE_CHECKING:
    from docproc.model import ParseResult
    from docproc.parsers import Parser

SENTENCE = "The bearings of the harbour crane are greased on the first Monday of the month."
"""Stands in docproc/samples/canary.pdf, and so in its parse."""

CALL = 20.0
"""Seconds that one call of the paid check may take, where the settings allow more."""


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


def paid(it: Deployment) -> Finding:
    """Does a page come back as text, by the configured tier and version? (Paid for: one page.)"""
    service, told = it.parser_service(), it.app.settings.parser
    told = replace(told, timeout=min(told.timeout, CALL))
    parser = open_parser(replace(it.app.settings, parser=told), base_url=service.base_url, api_key=service.api_key)
    end, reference = time.monotonic() + it.thresholds.paid_parse, f"validate-deploy-{uuid4()}"
    page = (files("docproc") / "samples" / "canary.pdf").read_bytes()
    file_id = parser.upload(io.BytesIO(page), "canary.pdf", reference)
    try:
        # Never again: whether a submit without an answer was taken, and is paid for, only the service can say.
        job = parser.submit(file_id, reference, fresh=True)
    except TransientError as error:
        return problem(f"{error}; if the service took it, its job has the client_ref {reference}")
    try:
        progress = _watched(parser, job, told.first_poll, end)
        if progress.state == "ready":
            return _judged(parser.fetch(job), f"job {job}{' of a mock' if service.kind == 'mock' else ''}")
        if progress.state == "waiting":
            parser.cancel(job)
    except DocprocError as error:
        return problem(f"job {job}: {error}")
    outcome = "not done in time, cancelled" if progress.state == "waiting" else progress.state
    return problem(f"job {job}: {outcome} ({progress.why or 'the service does not know it'})")


def _watched(parser: Parser, job: str, pause: float, end: float) -> Progress:
    """Where the job stands at last; looking costs nothing, so a look that fails is followed by the next."""
    while True:
        time.sleep(max(0.0, min(pause, end - time.monotonic())))
        try:
            progress = parser.poll(job)
        except (TransientError, ThrottledError) as error:
            progress = Progress("waiting", why=str(error))
        # The service may not know a job at once.
        if progress.state not in ("waiting", "gone") or time.monotonic() >= end:
            return progress
        pause = min(pause * 1.5, 5.0)


def _judged(result: ParseResult, job: str) -> Finding:
    price = "credits not told" if result.credits is None else f"{result.credits:g} credits"
    cost = f"{len(result.pages)} page{'' if len(result.pages) == 1 else 's'}, {price}, {job}"
    text = " ".join(" ".join(page.markdown for page in result.pages).split())
    if SENTENCE not in text:
        return problem(f"the page came back as {text[:80]!r}; {cost}", expected=f"a text with: {SENTENCE}")
    return ok(f"the text came back; {cost}")


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

PAID = (
    Check(
        "parser.paid",
        "parser",
        "error",
        "the page's text within 120 s",
        "look the job up at the provider; correct [parser] tier and version",
        paid,
        ("parser.version",),
        network=True,
        seconds=180.0,
    ),
)
"""Asked only with ``--paid``; the time for the parse, and for three calls of 20 s."""
