"""Every fault of the catalogue fires, shows what it says it shows, and is logged; and the draw can be repeated."""

from __future__ import annotations

from typing import Any

import llama_cloud
import numpy as np
import openai
import pytest

from mocks.faults import FAULTS
from tests.unit.mocks import storage_checks
from tests.unit.mocks.fault_checks import (
    Check,
    bad_text,
    embed_fails,
    ends,
    failed,
    failed_page,
    fails_with,
    found_later,
    html_instead,
    no_id,
    no_markdown,
    no_usage,
    pages,
    raw,
    refused_embed,
    refused_get,
    refused_key,
    refused_submit,
    refused_upload,
    seen,
    slow_embed,
    slow_submit,
    spoilt_embed,
    spoilt_submit,
    state,
)

CHECKS: dict[str, tuple[str, Check]] = {
    "llamaparse.unauthorized": ("", refused_key),
    "llamaparse.payment_required": ("", refused_submit(402)),
    "llamaparse.too_large": ("", refused_upload),
    "llamaparse.unprocessable": ("", refused_submit(422)),
    "llamaparse.rate_limit": ("retry_after=90", refused_submit(429, retry_after="90")),
    "llamaparse.server_error": ("", refused_submit(500)),
    "llamaparse.unavailable": ("on=submit", refused_submit(503)),
    "llamaparse.poll_error": ("times=1", refused_get(500)),
    "llamaparse.fetch_error": ("", refused_get(500, only_fetch=True)),
    "llamaparse.expired": ("", refused_get(404, only_fetch=True)),
    "llamaparse.error_after_accept": ("", spoilt_submit(fails_with(llama_cloud.InternalServerError))),
    "llamaparse.slow": ("seconds=0.2", spoilt_submit(slow_submit)),
    "llamaparse.reset": ("", spoilt_submit(fails_with(llama_cloud.APIConnectionError))),
    "llamaparse.empty_answer": ("", spoilt_submit(no_id)),
    "llamaparse.html_answer": ("", spoilt_submit(html_instead)),
    "llamaparse.unknown_state": ("state=PAUSED", ends(state("PAUSED"))),
    "llamaparse.failed": ("", ends(failed)),
    "llamaparse.cached_failure": ("", ends(failed)),
    "llamaparse.failed_pages": ("pages=1", ends(failed_page)),
    "llamaparse.missing_pages": ("pages=1", ends(pages(0))),
    "llamaparse.extra_pages": ("pages=2", ends(pages(3))),
    "llamaparse.no_markdown": ("", ends(no_markdown)),
    "llamaparse.bad_text": ("", ends(bad_text)),
    "llamaparse.usage_null": ("", ends(no_usage)),
    "llamaparse.stuck": ("state=PENDING", ends(state("PENDING"))),
    "llamaparse.late": ("seconds=60", ends(state("PENDING"))),
    "llamaparse.not_found_yet": ("seconds=0.5", found_later),
    "openai.unauthorized": ("", refused_embed(401, "invalid_api_key")),
    "openai.model_not_found": ("", refused_embed(404, "model_not_found")),
    "openai.bad_input": ("match=two", refused_embed(400, None)),
    "openai.rate_limit": ("retry_after=0.5", refused_embed(429, "rate_limit_exceeded", retry_after="0.5")),
    "openai.insufficient_quota": ("", refused_embed(429, "insufficient_quota", retry_after=None)),
    "openai.server_error": ("", refused_embed(500, None)),
    "openai.unavailable": ("", refused_embed(503, None)),
    "openai.slow": ("seconds=0.2", spoilt_embed(slow_embed)),
    "openai.truncated": ("", embed_fails(openai.APIError, ValueError)),
    "openai.reset": ("", embed_fails(openai.APIConnectionError)),
    "openai.html_answer": ("", raw(lambda answer: answer.text.startswith("<html>"))),
    "openai.empty_answer": ("", raw(lambda answer: answer.json() == {})),
    "openai.too_few": ("", seen(2, (0, 1))),
    "openai.too_many": ("", seen(4, (0, 1, 2, 3))),
    "openai.wrong_order": ("", seen(3, (2, 1, 0))),
    "openai.repeated_index": ("", seen(3, (0, 0, 0))),
    "openai.wrong_dimensions": ("", seen(first=lambda vector: len(vector) == 7)),
    "openai.nan": ("", seen(first=lambda vector: bool(np.isnan(vector).any()))),
    "openai.inf": ("", seen(first=lambda vector: bool(np.isinf(vector).any()))),
    "openai.zero": ("", seen(first=lambda vector: not np.any(vector))),
    "openai.null": ("", seen(first=lambda vector: vector is None)),
    "storage.refused_key": ("", storage_checks.refused_key),
    "storage.unavailable": ("on=put,retry_after=7", storage_checks.refused_put(503, retry_after="7")),
    "storage.quota": ("", storage_checks.refused_put(402)),
    "storage.too_large": ("match=raw/", storage_checks.refused_put(400, "413")),
    "storage.error_after_accept": ("", storage_checks.done_all_the_same),
    "storage.slow": ("on=get,seconds=0.2", storage_checks.spoilt_get(storage_checks.slow)),
    "storage.corrupt": ("", storage_checks.spoilt_get(storage_checks.corrupt)),
    "storage.cut": ("", storage_checks.spoilt_get(storage_checks.cut)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_fires_shows_itself_and_is_logged(server: Any, name: str) -> None:
    options, check = CHECKS[name]
    logged = len(server.get("/mock/log"))
    server.order(f"{name}:{options}")
    check(server)
    rows = server.get(f"/mock/log?after={logged}")
    struck = sum(row["faults"].count(name) for row in rows)
    assert struck == server.get("/mock/faults")["faults"][0]["fired"] > 0


def test_the_catalogue_and_its_checks_name_the_same_faults() -> None:
    assert list(CHECKS) == list(FAULTS)


def test_a_rate_limit_without_retry_after_sends_no_header(server: Any) -> None:
    server.order("llamaparse.rate_limit", "openai.rate_limit")
    refused_submit(429, retry_after=None)(server)
    refused_embed(429, "rate_limit_exceeded", retry_after=None)(server)
