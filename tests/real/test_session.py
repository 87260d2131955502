"""The session that pays, as pytest runs it: it needs keys, ends at a limit whichever worker meets it, and says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT, Mocks, bare_environment

CHOSEN = [("real", ""), ("hybrid", "")] if os.environ.get("DOCPROC_TRANSITION") == "long" else [("real", "not search")]
"""Which tests of real services are tried with the mocks in their place, by mode; all of them in the long form."""

SPENDS = """
import os
import pytest
import requests

@pytest.mark.real
@pytest.mark.parametrize("n", range(20))
def test_of_ten_tokens(n):
    body = {"model": "text-embedding-3-small", "input": "one two three four five six seven eight nine ten"}
    key = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
    answer = requests.post(os.environ["DOCPROC_TEST_LIMITER"] + "/v1/embeddings", json=body, headers=key, timeout=10)
    assert answer.status_code in (200, 429)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twenty tests that spend ten tokens each."""
    (tmp_path / "test_spends.py").write_text(SPENDS, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tmp_path


def session(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in ``folder`` with the hooks of this one, which the checkout brings by itself."""
    hooks = () if folder == ROOT else ("-p", "tests.real.conftest")
    return subprocess.run(
        [sys.executable, "-m", "pytest", *hooks, "-p", "no:cacheprovider", *words],
        cwd=folder,
        env=bare_environment(**variables),
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_session_ends_at_the_limit_which_its_workers_share(folder: Path, services: Mocks, workers: str) -> None:
    before = services.bill()["embedding_tokens"]
    said = session(
        folder,
        *("-n", workers),
        DOCPROC_TEST_SERVICES="hybrid",
        DOCPROC_TEST_OPENAI_TOKENS="45",
        DOCPROC_TEST_UPSTREAM_OPENAI=services.address,
        OPENAI_API_KEY="sk-93be4a60",
    )
    assert said.returncode == 2, said.stdout + said.stderr
    assert services.bill()["embedding_tokens"] - before == 40
    assert "spent 0 of 5 LlamaParse calls · 40 of 45 OpenAI tokens · 0.0001 of 100 cents" in said.stdout
    assert "the session has met the limit of 45 OpenAI tokens (DOCPROC_TEST_OPENAI_TOKENS)" in said.stdout
    assert "20 passed" not in said.stdout
    assert "sk-93be4a60" not in said.stdout + said.stderr


def test_without_being_asked_for_what_pays_is_skipped_with_the_reason(folder: Path) -> None:
    said = session(folder, "-rs")
    assert said.returncode == 0, said.stderr
    assert "20 skipped" in said.stdout
    assert "nox -s tests_real" in said.stdout


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({}, "set LLAMA_CLOUD_API_KEY and OPENAI_API_KEY"),
        ({"LLAMA_CLOUD_API_KEY": "llx-1"}, "set OPENAI_API_KEY"),
        ({"DOCPROC_TEST_SERVICES": "hybrid"}, "set OPENAI_API_KEY"),
        ({"DOCPROC_TEST_SERVICES": "production"}, "may be real or hybrid"),
        (
            {"LLAMA_CLOUD_API_KEY": "llx-1", "OPENAI_API_KEY": "sk-1", "DOCPROC_TEST_CENTS": "501"},
            "no session may spend over 500",
        ),
    ],
)
def test_a_session_that_lacks_a_key_or_asks_for_too_much_does_not_begin(
    folder: Path, variables: dict[str, str], complaint: str
) -> None:
    said = session(folder, **{"DOCPROC_TEST_SERVICES": "real", **variables})
    assert said.returncode == pytest.ExitCode.USAGE_ERROR
    assert complaint in said.stderr
    assert "Traceback" not in said.stdout + said.stderr


@pytest.mark.long
@pytest.mark.parametrize(("mode", "chosen"), CHOSEN)
def test_the_tests_of_real_services_hold_with_the_mocks_in_their_place(
    services: Mocks, tmp_path: Path, mode: str, chosen: str
) -> None:
    said = session(
        ROOT,
        *("-n0", f"--basetemp={tmp_path / 'there'}", "-k", chosen, "tests/real/test_services.py"),
        DOCPROC_TEST_SERVICES=mode,
        DOCPROC_TEST_UPSTREAM_LLAMAPARSE=services.address,
        DOCPROC_TEST_UPSTREAM_OPENAI=services.address,
        LLAMA_CLOUD_API_KEY="llx-4c1f90d2",
        OPENAI_API_KEY="sk-93be4a60",
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert " passed" in said.stdout
