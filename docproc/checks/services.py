"""Checks of the paid services, by calls that cost nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from docproc.checks import Check, Finding, ok

if TYPE_CHECKING:
    from docproc.app import App


def parser(app: App) -> Finding:
    """The parser answers and accepts the key."""
    service = app.parser_service
    versions = app.parser.check()
    wanted = app.settings.parser.version
    if versions and wanted not in versions and wanted != "latest":
        return Finding("error", f"version {wanted} is not offered", f"[parser] version: one of {', '.join(versions)}")
    return ok(f"{service.kind}, {service.base_url or 'the vendor'}, version {wanted}")


def embedder(app: App) -> Finding:
    """The embedder answers, accepts the key and knows the model."""
    service = app.embedder_service
    app.embedder.check(app.settings.embedder.model)
    return ok(f"{service.kind}, {service.base_url or 'the vendor'}, {app.settings.embedder.model}")


CHECKS = (Check("services.parser", parser), Check("services.embedder", embedder))
