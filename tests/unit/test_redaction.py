"""What is taken out of a text before it is told: secrets in every form, keys by their shape, others' quotations."""

from __future__ import annotations

import json
from urllib.parse import quote

import psycopg
import pytest

from docproc.errors import TransientError
from docproc.redaction import MOST_WORDS, Redactor, learn_secrets, redact, unquoted, words_of
from docproc.settings import Secret, Secrets

PASSWORD = 'p@ss/w"ört 9'


@pytest.mark.parametrize("form", [PASSWORD, quote(PASSWORD, safe=""), json.dumps(PASSWORD)[1:-1], repr(PASSWORD)[1:-1]])
def test_a_known_value_is_taken_out_however_it_is_written(form: str) -> None:
    redactor = Redactor()
    redactor.learn([PASSWORD])
    assert redactor(f"before {form} after") == "before … after"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("key sk-proj-abcDEF123456 refused", "key … refused"),
        ("llx-abcdefgh12345678", "…"),
        ("sb_secret_abc12345", "…"),
        ("eyJhbGciOiJIUzI1.eyJpc3MiOiJz.dBjftJeZ4CVP", "…"),
        ("Authorization: Bearer abc.def-ghi", "Authorization: Bearer …"),
        ("{'authorization': 'Bearer abcdefghi', 'a': 1}", "{'authorization': 'Bearer …', 'a': 1}"),
        ("Authorization: Basic dXNlcjpwYXNz", "Authorization: Basic …"),
        ("apikey=abc123 next", "apikey=… next"),
        ("postgresql://me:s3cr3t@db:5432/x", "postgresql://me:…@db:5432/x"),
        ("postgres://me:s3@cr3t@db/x", "postgres://me:…@db/x"),
        ("host=db password='a b' port=1", "host=db password=… port=1"),
        ("http://127.0.0.1:80/a@b is there", "http://127.0.0.1:…@b is there"),
        ("a task-force at 10:30 asks me@example.org", "a task-force at 10:30 asks me@example.org"),
        ("postgresql://me@db/x", "postgresql://me@db/x"),
    ],
)
def test_what_looks_like_a_key_is_taken_out_and_the_rest_stays(said: str, told: str) -> None:
    assert Redactor()(said) == told


def test_a_short_password_counts_only_where_it_stands_alone() -> None:
    redactor = Redactor()
    redactor.learn(["gull", "ab"])
    assert redactor("gull, seagulls, abba and ab") == "…, seagulls, abba and ab"


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:hunter2hunter2@db/x",
        "postgresql://me@db/x?password=hunter2hunter2",
        "host=db user=me password=hunter2hunter2",
        "host=db user=me password='hunter2hunter2'",
        "postgresql://me:xx@hunter2hunter2@db/x",
    ],
)
def test_the_password_of_the_database_is_known_and_its_address_is_not_secret(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("docproc.redaction.redact", fresh := Redactor())
    learn_secrets(Secrets(database_url=Secret(address), openai_api_key=Secret("the-openai-key")))
    assert fresh("hunter2hunter2 the-openai-key db") == "… … db"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Invalid input: 'the gull said \"no\" and left'", "Invalid input: …"),
        ('bad value "one "two" three", sorry', "bad value …, sorry"),
        ("near “the harbour", "near …"),
        ("it can't be read, and doesn't open", "it can't be read, and doesn't open"),
        ("first line\nsecond line with text", "first line"),
        ("refused. DETAIL: Failing row contains (1, text)", "refused."),
        ("", ""),
    ],
)
def test_what_another_program_quotes_is_taken_out_of_its_words(said: str, told: str) -> None:
    assert unquoted(said) == told


def test_another_programs_words_are_cut() -> None:
    assert len(unquoted("word " * 1000)) <= MOST_WORDS


def test_of_an_error_only_what_cannot_hold_a_text_is_told() -> None:
    assert words_of(KeyError("the gull")) == ""
    assert words_of(ValueError("cannot read the gull")) == ""
    assert words_of(TypeError("f() got an unexpected keyword argument 'gull'")).startswith("f() got an unexpected")
    assert words_of(FileNotFoundError(2, "No such file", "gull.txt")) == "No such file"
    assert words_of(TransientError("a.b", "what", why="key sk-abcdefgh1234")) == "what: key …"


def test_of_an_error_of_the_database_tables_are_named_and_no_value_of_a_row() -> None:
    of_a_value = psycopg.errors.InvalidTextRepresentation(
        'invalid input syntax for type integer: "the gull"\nLINE 1: …'
    )
    of_a_row = psycopg.errors.CheckViolation('"birds" violates "few"\nDETAIL:  Failing row contains (the gull).')
    assert words_of(of_a_value) == "invalid input syntax for type integer: …"
    assert words_of(of_a_row) == '"birds" violates "few"'
    assert words_of(psycopg.OperationalError("no route to host\nIs the server running?")) == "no route to host"


def test_the_process_own_redactor_knows_shapes_before_it_was_told_anything() -> None:
    assert redact("sk-abcdefgh12345678") == "…"
