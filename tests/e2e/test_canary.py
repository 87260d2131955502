"""Canaries: keys, a password and words of the documents, looked for wherever docproc writes when things go wrong."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest

from tests.e2e.conftest import local
from tests.e2e.documents import pdf
from tests.e2e.storages import BACKEND, Objects
from tests.e2e.tables import Tables
from tests.support import Docproc, Mocks, always

# Shaped like no key, so that only what docproc was told of them can take them out.
KEYS = {
    "LLAMA_CLOUD_API_KEY": "canaryllama7Q2wZ9",
    "OPENAI_API_KEY": "canaryopenai5T8xK1",
    "SUPABASE_SERVICE_ROLE_KEY": "canarysupabase3M6vB4",
}
PASSWORD = "canary pass/word@4H7"
WORDS = ("zanzibarious", "quillonated", "brambleworth")
"""In every line of the documents, in the heading and in the PDF: no piece of a text is without one of them."""

TEXT_BELONGS = ("text", "words", "embed_prefix", "heading_path")
"""The columns of the chunks that are there to hold text."""

SECRETS = (*KEYS.values(), PASSWORD, quote(PASSWORD, safe=""), "word@4H7")


class Echo(BaseHTTPRequestHandler):
    """A service that answers ``status`` with everything that it was sent, headers too, in all shapes of an error."""

    status = 400

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        said = f'Invalid input: "{sent}" from {dict(self.headers)}'
        body = {"error": {"message": said, "type": "invalid", "code": "bad"}, "detail": [{"msg": said, "input": sent}]}
        self._answer(body)

    def do_GET(self) -> None:
        self._answer({"error": {"message": str(self.headers)}, "detail": f"no '{self.headers}'"})

    do_PUT = do_POST  # noqa: N815 - the name that the server looks for

    def _answer(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(404 if self.path == "/health" else self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Cage:
    """Documents with canaries, docproc with canaries for keys, and every place in which one may turn up."""

    docproc: Docproc
    tables: Tables
    folder: Path

    @property
    def log(self) -> Path:
        """The log file."""
        return self.folder / "log.jsonl"

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Runs a command at -vv and looks at what it said."""
        said = self.docproc.run("-vv", "--log-file", str(self.log), *words, timeout=60.0, **more)
        assert found(said.stdout, texts=True) == []
        assert found(said.stderr, texts=True) == []
        return said

    def run_all(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Takes the documents through, and looks everywhere."""
        said = self.run("run-all", *words, str(self.folder / "documents"), **more)
        self.assert_clean()
        return said

    def assert_clean(self) -> None:
        """Fails when a canary is in the log, in the database outside of the chunks' text, or a key in the storage."""
        assert found(self.log.read_text("utf-8"), texts=True) == []
        assert found(self.database(), texts=True) == []
        assert found(self.storage(), texts=False) == []

    def database(self, but: tuple[str, ...] = TEXT_BELONGS) -> str:
        """Every row of every table as text, without the chunks' columns ``but``."""
        names = [name for (name,) in self.tables.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'docproc'")]
        assert {"upload_jobs", "job_events", "api_calls", "runs", "document_chunk_buffer"} <= set(names)
        parts = []
        for name in names:
            without = list(but) if name == "document_chunk_buffer" else []
            rows = self.tables.rows(f"SELECT (to_jsonb(t) - %s::text[])::text FROM docproc.{name} t", without)
            parts += [text for (text,) in rows]
        return "\n".join(parts)

    def storage(self) -> str:
        """Bytes and name of every stored object, and of all else in docproc's home."""
        files = [path for path in (self.folder / "desk" / "home").rglob("*") if path.is_file()]
        kept = [(str(path), path.read_bytes()) for path in files]
        if BACKEND != "local":
            objects = Objects.of(self.docproc)
            kept += [(key, objects.read(key)) for key in objects.all_keys()]
        return "\n".join(f"{name}\n{data.decode('utf-8', 'replace')}" for name, data in kept)


def found(place: str, *, texts: bool) -> list[str]:
    """The canaries in ``place``, each with what stands around it."""
    wanted = (*SECRETS, *(WORDS if texts else ()))
    places = [match.start() for canary in wanted for match in re.finditer(re.escape(canary), place, re.IGNORECASE)]
    return [place[max(at - 60, 0) : at + 40] for at in places[:9]]


@pytest.fixture
def cage(conninfo: str, server: str, services: Mocks, tmp_path: Path) -> Iterator[Cage]:
    """docproc with canaries for keys, as a role of the database with a canary for its password."""
    with psycopg.connect(server, autocommit=True) as conn:
        conn.execute("DROP ROLE IF EXISTS canary")
        conn.execute(f"CREATE ROLE canary LOGIN SUPERUSER PASSWORD '{PASSWORD}'".encode())
    parts = psycopg.conninfo.conninfo_to_dict(conninfo)
    where = f"host={quote(str(parts['host']), safe='')}"
    address = f"postgresql://canary:{quote(PASSWORD, safe='')}@/{parts['dbname']}?{where}"
    documents = tmp_path / "documents"
    documents.mkdir()
    lines = "\n\n".join(f"Line {n}: the {WORDS[0]} of {tmp_path.name} is counted." for n in range(40))
    (documents / "one.md").write_text(f"# {WORDS[1]}\n\n{lines}\n", encoding="utf-8")
    (documents / "two.pdf").write_bytes(pdf(f"A {WORDS[2]} in {tmp_path.name}.", f"More {WORDS[2]} than before."))
    docproc = local(
        tmp_path / "desk",
        address,
        services.address,
        DOCPROC_PARSER_SERVICE="real",
        DOCPROC_EMBEDDER_SERVICE="real",
        LLAMA_CLOUD_BASE_URL=services.address,
        OPENAI_BASE_URL=f"{services.address}/v1",
        DOCPROC_RUNNER_MAX_ATTEMPTS="2",
        OPENAI_LOG="debug",
        LLAMA_CLOUD_LOG="debug",
        **KEYS,
    )
    yield Cage(docproc, Tables(conninfo), tmp_path)


@pytest.fixture
def echo() -> Iterator[str]:
    """The address of a service that quotes whatever it is sent."""
    running = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def struck(services: Mocks) -> set[str]:
    """The faults that acted on a request so far."""
    return {fault for entry in services.log() for fault in entry["faults"]}


# ── canaries ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_that_goes_well_tells_no_canary_and_neither_do_the_looks_at_it(cage: Cage) -> None:
    assert cage.run_all().returncode == 0
    for command in (["status"], ["status", "one.md"], ["status", "--json"], ["validate-deploy", "--json"], ["cleanup"]):
        cage.run(*command)
    cage.assert_clean()


def test_the_canaries_are_there_to_be_found(cage: Cage) -> None:
    assert cage.run_all().returncode == 0
    assert {word for word in WORDS if word in cage.database(but=())} == set(WORDS)
    assert {word for word in WORDS if word in cage.storage()} == set(WORDS)
    cage.tables.change("UPDATE docproc.runs SET summary = jsonb_build_object('x', %s::text)", PASSWORD)
    with pytest.raises(AssertionError, match="canary pass"):
        cage.assert_clean()


@pytest.mark.parametrize(
    "faults",
    always(
        [
            f"llamaparse.failed:message=cannot read 'the {WORDS[2]} of it'",
            f"llamaparse.cached_failure:message=near “{WORDS[2]} in",
            "llamaparse.unprocessable",
            "llamaparse.failed_pages:pages=2",
            "llamaparse.missing_pages",
            "llamaparse.bad_text",
            "llamaparse.html_answer",
            "llamaparse.reset",
            "llamaparse.unauthorized",
            "llamaparse.payment_required",
            "openai.bad_input",
            "openai.unauthorized",
            "openai.insufficient_quota",
            "openai.truncated",
            "openai.html_answer",
            "openai.nan",
            "openai.server_error",
            "openai.rate_limit:times=2,retry_after=0.1",
        ],
        f"llamaparse.cached_failure:message=near “{WORDS[2]} in",
        "openai.bad_input",
        "openai.truncated",
    ),
)
def test_a_service_that_fails_gets_no_canary_told(cage: Cage, services: Mocks, faults: str) -> None:
    services.set_faults(faults)
    said = cage.run_all(DOCPROC_PARSER_DEADLINE="3", DOCPROC_PARSER_RECONCILE_GRACE="0", DOCPROC_PARSER_TIMEOUT="1")
    assert said.returncode in (0, 1, 3, 5, 12)
    assert faults.partition(":")[0] in struck(services)


@pytest.mark.parametrize("status", always([200, 400, 401, 402, 422, 429, 500], 200, 400))
def test_a_service_that_quotes_what_it_was_sent_gets_no_canary_told(
    cage: Cage, echo: str, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(Echo, "status", status)
    # Of a limit that never ends, two seconds are enough.
    limit = ["--max-duration", "2"] if status == 429 else []
    said = cage.run_all(*limit, LLAMA_CLOUD_BASE_URL=echo, OPENAI_BASE_URL=f"{echo}/v1")
    assert said.returncode not in (0, 2)


def test_a_storage_that_quotes_what_it_was_sent_gets_no_canary_told(cage: Cage, echo: str) -> None:
    said = cage.run_all(DOCPROC_STORAGE_BACKEND="supabase", SUPABASE_URL=echo)
    assert said.returncode != 0


REFUSALS = {
    "a row": "ALTER TABLE docproc.document_chunk_buffer ADD CONSTRAINT canary CHECK (length(text) < 9) NOT VALID",
    "a value": "CREATE TRIGGER canary BEFORE INSERT ON docproc.document_chunk_buffer"
    " FOR EACH ROW EXECUTE FUNCTION docproc.canary()",
    "a vector": "ALTER TABLE docproc.document_vector_buffer ADD CONSTRAINT canary CHECK (vector_sha = '') NOT VALID",
}


@pytest.fixture(params=always(REFUSALS, "a value"))
def refusing(request: pytest.FixtureRequest, conninfo: str) -> Iterator[None]:
    """A database that refuses rows, and says which."""
    tables = Tables(conninfo)
    tables.change(
        "CREATE FUNCTION docproc.canary() RETURNS trigger LANGUAGE plpgsql AS $$"
        "BEGIN PERFORM NEW.text::integer; RETURN NEW; END$$"
    )
    tables.change(REFUSALS[request.param])
    yield
    tables.change("ALTER TABLE docproc.document_chunk_buffer DROP CONSTRAINT IF EXISTS canary")
    tables.change("ALTER TABLE docproc.document_vector_buffer DROP CONSTRAINT IF EXISTS canary")
    tables.change("DROP FUNCTION docproc.canary CASCADE")


@pytest.mark.usefixtures("refusing")
def test_a_database_that_refuses_a_row_gets_no_canary_told(cage: Cage) -> None:
    said = cage.run_all()
    codes = set(cage.tables.codes().values())
    assert "job.unexpected" in codes
    assert said.returncode == (3 if None in codes else 1)


def test_a_database_that_cannot_be_reached_gets_no_canary_told(cage: Cage) -> None:
    for address in (
        f"postgresql://canary:{quote(PASSWORD, safe='')}@127.0.0.1:9/none",
        f"postgresql://canary:{PASSWORD}@127.0.0.1:9/none",  # not encoded: its rest is taken for a host
        f"host=127.0.0.1 port=9 password='{PASSWORD}'",
        f"postgresql://canary:{quote(PASSWORD, safe='')}@127.0.0.1:9/none?nonsense=1",
    ):
        assert cage.run("run-all", DATABASE_URL=address).returncode == 10
    cage.assert_clean()


@pytest.mark.parametrize(
    "point", always(["parse.after_submit", "embed.after_response", "settle.before_commit:4"], "embed.after_response")
)
def test_a_process_that_is_killed_leaves_no_canary(cage: Cage, point: str) -> None:
    assert cage.run_all(DOCPROC_FAULT_POINT=point).returncode == -9
    assert cage.run_all().returncode == 0


def test_no_process_has_a_key_among_its_arguments(cage: Cage, services: Mocks) -> None:
    services.set_faults("openai.slow:seconds=1")
    running = cage.docproc.start("run-all", str(cage.folder / "documents"))
    seen = set()
    while running.poll() is None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                seen.add(path.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
            except OSError:  # it has ended meanwhile
                continue
    running.communicate()
    assert any("docproc run-all" in words for words in seen)
    assert found("\n".join(seen), texts=False) == []
