"""The mock LlamaParse answers the vendor's own client over real HTTP and bills what the real one would."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import llama_cloud
import pytest

ALL = ["markdown", "text", "metadata", "usage"]


def submit(client: Any, text: str = "", *, ref: str = "ref", tier: str = "fast", **options: Any) -> Any:
    """Uploads a Markdown file of ``text`` (by default one that nobody uploaded before) and submits it."""
    data = (text or f"# Title\n\nwords {uuid4()}").encode()
    file = client.files.create(file=("page.md", data), purpose="parse")
    return client.parsing.create(
        file_id=file.id, tier=tier, version="latest", user_metadata={"client_ref": ref}, **options
    )


def finished(client: Any, job_id: str) -> Any:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        result = client.parsing.get(job_id, expand=ALL)
        if result.job.status not in ("PENDING", "RUNNING"):
            return result
        threading.Event().wait(0.02)
    raise AssertionError("the job never ended")


def test_a_pdf_goes_from_pending_through_running_to_its_own_text_by_pages(start: Any, pdf: bytes) -> None:
    server = start("--processing-delay", "0.4")
    client = server.llamaparse()
    file = client.files.create(file=("harbour.pdf", pdf), purpose="parse", external_file_id="doc-7")
    assert file.external_file_id == "doc-7"
    job = client.parsing.create(file_id=file.id, tier="cost_effective", version="2026-09-28", user_metadata={"a": "b"})
    assert (job.status, job.user_metadata, job.usage) == ("PENDING", {"a": "b"}, None)
    seen, deadline = [job.status], time.monotonic() + 10
    while seen[-1] != "COMPLETED" and time.monotonic() < deadline:
        result = client.parsing.get(job.id, expand=ALL)
        seen.append(result.job.status)
        if result.job.status != "COMPLETED":
            assert (result.markdown, result.job.usage) == (None, None)
    assert list(dict.fromkeys(seen)) == ["PENDING", "RUNNING", "COMPLETED"]
    assert [page.page_number for page in result.markdown.pages] == [1, 2]
    assert "harbour ledger" in result.markdown.pages[0].markdown
    assert "second page" in result.text.pages[1].text
    assert result.metadata.pages[1].confidence > 0.9
    assert result.job.usage.credits == 6


def test_expand_may_be_one_parameter_with_commas(server: Any) -> None:
    job = submit(server.llamaparse())
    answer = server.get(f"/api/v2/parse/{job.id}?expand=markdown,usage")
    assert answer["job"]["usage"] == {"credits": 1.0}
    assert set(answer) == {"job", "markdown"}


def test_the_old_client_s_upload_path_and_field_work_too(server: Any) -> None:
    key = {"Authorization": "Bearer k"}
    answer = httpx.post(
        f"{server.url}/api/v1/files?external_file_id=x", files={"upload_file": ("a.txt", b"words")}, headers=key
    )
    assert answer.json()["external_file_id"] == "x"
    body = {"file_id": answer.json()["id"], "tier": "fast", "version": "latest"}
    job = httpx.post(f"{server.url}/api/v2/parse", json=body, headers=key).json()
    assert server.get(f"/api/v2/parse/{job['id']}")["job"]["status"] == "COMPLETED"


def test_upload_and_submit_in_one_request_makes_a_job(server: Any) -> None:
    client = server.llamaparse()
    job = client.parsing.create(upload_file=("a.md", b"# one request"), tier="fast", version="latest")
    assert "one request" in finished(client, job.id).markdown.pages[0].markdown


def test_a_damaged_file_ends_failed_with_a_message_and_costs_nothing(start: Any) -> None:
    server = start("--processing-delay", "0")
    client = server.llamaparse()
    file = client.files.create(file=("a.pdf", b"no pdf at all"), purpose="parse")
    result = finished(client, client.parsing.create(file_id=file.id, tier="agentic", version="latest").id)
    assert (result.job.status, result.job.error_message[:14]) == ("FAILED", "Parsing failed")
    assert server.billing()["pages_billed"] == 0


def test_the_list_pages_through_all_jobs_with_their_metadata(server: Any) -> None:
    client = server.llamaparse()
    started = time.time() - 0.01
    ids = [submit(client, ref=f"list-{number}").id for number in range(5)]
    since = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(started))}.{int(started % 1 * 1e6):06}Z"
    rows = list(client.parsing.list(created_at_on_or_after=since, page_size=2))
    assert [row.id for row in rows] == ids[::-1]
    assert [row.user_metadata["client_ref"] for row in rows] == [f"list-{n}" for n in (4, 3, 2, 1, 0)]
    assert {row.usage.credits for row in rows} == {1}
    assert [row.id for row in client.parsing.list(job_ids=[ids[1]])] == [ids[1]]
    assert not list(client.parsing.list(status="FAILED", created_at_on_or_after=since))


def test_a_cancelled_job_is_not_billed_and_a_deleted_one_is_not_found(start: Any) -> None:
    server = start("--processing-delay", "60")
    client = server.llamaparse()
    job = submit(client)
    with pytest.raises(llama_cloud.ConflictError):
        client.parsing.delete(job.id)
    assert client.parsing.cancel(job.id).status == "CANCELLED"
    assert client.parsing.get(job.id).job.status == "CANCELLED"
    assert client.parsing.delete(job.id).id == job.id
    with pytest.raises(llama_cloud.NotFoundError):
        client.parsing.get(job.id)
    assert server.billing()["pages_billed"] == 0
    assert server.billing()["jobs_created"] == 1


def test_an_equal_request_after_the_first_ended_is_free_unless_the_cache_is_disabled(start: Any) -> None:
    server = start("--processing-delay", "0")
    client = server.llamaparse()
    first, second = (finished(client, submit(client, "same words", ref="twice").id) for _ in range(2))
    assert second.markdown == first.markdown
    assert second.job.usage.credits == 0
    assert server.billing()["pages_billed"] == 1
    assert server.billing()["jobs_by_client_ref"] == {"twice": 2}
    finished(client, submit(client, "same words", disable_cache=True).id)
    finished(client, submit(client, "same words", tier="agentic").id)
    assert (server.billing()["pages_billed"], server.billing()["credits_billed"]) == (3, 1 + 1 + 10)


def test_an_equal_request_while_the_first_still_runs_is_paid_again(start: Any) -> None:
    server = start("--processing-delay", "0.2")
    client = server.llamaparse()
    for job in [submit(client, "impatient", ref="r"), submit(client, "impatient", ref="r")]:
        finished(client, job.id)
    assert server.billing()["pages_by_client_ref"] == {"r": 2}


def test_a_failure_is_cached_too(server: Any) -> None:
    client = server.llamaparse()
    server.order("llamaparse.failed:times=1")
    assert finished(client, submit(client, "cached failure").id).job.status == "FAILED"
    assert finished(client, submit(client, "cached failure").id).job.status == "FAILED"
    assert finished(client, submit(client, "cached failure", disable_cache=True).id).job.status == "COMPLETED"


def test_a_job_that_nobody_fetches_is_billed_all_the_same(start: Any) -> None:
    server = start("--processing-delay", "0")
    submit(server.llamaparse())
    assert server.billing()["pages_billed"] == 1


def test_many_clients_that_poll_one_job_are_billed_once(start: Any, pdf: bytes) -> None:
    server = start("--processing-delay", "0")
    client = server.llamaparse()
    file = client.files.create(file=("a.pdf", pdf), purpose="parse")
    job = client.parsing.create(file_id=file.id, tier="fast", version="latest")
    states: list[str] = []
    polls = [
        threading.Thread(target=lambda: states.append(client.parsing.get(job.id, expand=ALL).job.status))
        for _ in range(8)
    ]
    for poll in polls:
        poll.start()
    for poll in polls:
        poll.join()
    assert states == ["COMPLETED"] * 8
    assert server.billing()["pages_billed"] == 2


def test_a_killed_server_carries_on_with_its_jobs_its_bill_and_its_log(start: Any, tmp_path: Path) -> None:
    options = ("--state", str(tmp_path / "mocks.db"), "--processing-delay", "0.5")
    server = start(*options)
    client = server.llamaparse()
    ended, running = submit(client, "first"), None
    finished(client, ended.id)
    running = submit(client, "second")
    before = server.billing()
    server.stop(signal.SIGKILL)
    server = start(*options)
    client = server.llamaparse()
    assert finished(client, ended.id).job.usage.credits == 1
    assert "second" in finished(client, running.id).markdown.pages[0].markdown
    after = server.billing()
    assert (before["jobs_created"], after["jobs_created"], after["pages_billed"]) == (2, 2, 2)
    assert [row["operation"] for row in server.get("/mock/log")][:2] == ["upload", "submit"]


@pytest.mark.parametrize("key", ["bad-key", "sk-bad-key"])
def test_a_bad_key_is_refused_everywhere(server: Any, key: str) -> None:
    client = server.llamaparse(key)
    calls: list[Callable[[], object]] = [
        lambda: client.files.create(file=("a.md", b"x"), purpose="parse"),
        lambda: client.parsing.get("pjb-1"),
        client.parsing.list,
        client.parsing.list_versions,
    ]
    for call in calls:
        with pytest.raises(llama_cloud.AuthenticationError):
            call()


def test_a_request_without_a_key_is_refused(server: Any) -> None:
    answer = httpx.get(f"{server.url}/api/v2/parse")
    assert (answer.status_code, answer.json()) == (401, {"detail": "Not authenticated"})


@pytest.mark.parametrize(
    ("wrong", "field"), [({"tier": "gold"}, "tier"), ({"version": "newest"}, "version"), ({"file_id": ""}, "file_id")]
)
def test_a_wrong_option_is_refused_as_fastapi_does(server: Any, wrong: dict[str, str], field: str) -> None:
    body: dict[str, Any] = {"file_id": "dfl-1", "tier": "fast", "version": "latest", **wrong}
    with pytest.raises(llama_cloud.UnprocessableEntityError) as refused:
        server.llamaparse().parsing.create(**body)
    assert refused.value.response.json()["detail"][0]["loc"] == ["body", field]


def test_the_versions_name_what_latest_stands_for(server: Any) -> None:
    versions = server.llamaparse().parsing.list_versions()
    assert versions.latest.agentic in versions.agentic


def test_size_variation_makes_texts_longer_and_always_by_the_same(server: Any) -> None:
    client = server.llamaparse()
    text = "a sentence that is repeated. " * 20
    lengths = []
    for _ in range(2):
        server.order(size_variation=3.0, seed=4)
        result = finished(client, submit(client, text, disable_cache=True).id)
        lengths.append(len(result.markdown.pages[0].markdown))
    assert lengths[0] == lengths[1] > len(text)
