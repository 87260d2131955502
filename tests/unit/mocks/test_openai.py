"""The mock OpenAI answers the vendor's own client, keeps its limits with its error bodies, and counts tokens."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import tiktoken

from docproc import tokens

SMALL = "text-embedding-3-small"


def test_the_models_are_listed_and_found_by_name(server: Any) -> None:
    client = server.openai()
    assert SMALL in [model.id for model in client.models.list()]
    assert client.models.retrieve(SMALL).id == SMALL
    with pytest.raises(openai.NotFoundError) as unknown:
        client.models.retrieve("gpt-nought")
    assert unknown.value.code == "model_not_found"


@pytest.mark.parametrize(("model", "dimensions"), [(SMALL, 1536), ("text-embedding-3-large", 3072)])
def test_vectors_have_the_model_s_dimensions_and_length_one(server: Any, model: str, dimensions: int) -> None:
    answer = server.openai().embeddings.create(model=model, input=["tides", "ledger"])
    vectors = np.array([row.embedding for row in answer.data])
    assert vectors.shape == (2, dimensions)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert [row.index for row in answer.data] == [0, 1]


def test_dimensions_shorten_the_vectors(server: Any) -> None:
    answer = server.openai().embeddings.create(model=SMALL, input="tides", dimensions=256)
    assert len(answer.data[0].embedding) == 256


def test_base64_and_floats_are_the_same_float32(server: Any) -> None:
    client = server.openai()
    floats = client.embeddings.create(model=SMALL, input="tides", encoding_format="float").data[0].embedding
    raw: Any = client.embeddings.create(model=SMALL, input="tides", encoding_format="base64").data[0].embedding
    decoded = np.frombuffer(base64.b64decode(raw), "<f4")
    assert np.array_equal(decoded, np.array(floats, dtype=np.float32))


def test_token_ids_embed_as_the_text_they_stand_for(server: Any) -> None:
    client = server.openai()
    ids = tokens.encoding().encode_ordinary("high tide")
    as_text, one, several = (
        client.embeddings.create(model=SMALL, input=given).data[0].embedding for given in ("high tide", ids, [ids])
    )
    assert as_text == one == several


def test_usage_is_the_exact_count_of_tokens_and_is_billed(start: Any) -> None:
    server = start()
    texts = ["the harbour", "<|endoftext|> is ordinary text", "漢字"]
    usage = server.openai().embeddings.create(model=SMALL, input=texts).usage
    expected = sum(tokens.count(text) for text in texts)
    assert usage.prompt_tokens == usage.total_tokens == expected
    bill = server.billing()
    assert (bill["embedding_requests"], bill["embedding_inputs"], bill["embedding_tokens"]) == (1, 3, expected)


def test_the_rate_headers_count_down(start: Any) -> None:
    client = start().openai()
    first, second = (
        client.embeddings.with_raw_response.create(model=SMALL, input="two words").headers for _ in range(2)
    )
    assert int(first["x-ratelimit-limit-requests"]) == int(first["x-ratelimit-remaining-requests"]) + 1
    assert int(second["x-ratelimit-remaining-tokens"]) == int(first["x-ratelimit-remaining-tokens"]) - 2
    assert second["x-ratelimit-reset-requests"].endswith("s")
    assert first["x-request-id"] != second["x-request-id"]


WORD = " tide"
REFUSED: dict[str, tuple[dict[str, Any], str | None]] = {
    "an empty string": ({"input": ["a", ""]}, None),
    "no input": ({"input": []}, None),
    "something that is no text": ({"input": [{"a": 1}]}, None),
    "too many inputs": ({"input": ["a"] * 2049}, "array_above_max_length"),
    "an input that is too long": ({"input": WORD * 8193}, None),
    "a request that is too long": ({"input": [WORD * 8000] * 38}, "max_tokens_per_request"),
    "too many dimensions": ({"input": "a", "dimensions": 1537}, None),
    "no dimensions": ({"input": "a", "dimensions": 0}, None),
    "an unknown encoding": ({"input": "a", "encoding_format": "hex"}, None),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_request_beyond_the_limits_is_refused_and_not_billed(server: Any, case: str) -> None:
    before = server.billing()["embedding_tokens"]
    options, code = REFUSED[case]
    with pytest.raises(openai.BadRequestError) as refused:
        server.openai().embeddings.create(model=SMALL, **options)
    assert refused.value.code == code
    assert refused.value.type == (
        "max_tokens_per_request" if code == "max_tokens_per_request" else "invalid_request_error"
    )
    assert server.billing()["embedding_tokens"] == before


def test_the_limits_themselves_are_accepted(server: Any) -> None:
    client = server.openai()
    assert client.embeddings.create(model=SMALL, input=WORD * 8192).usage.total_tokens == 8192
    answer = client.embeddings.create(model=SMALL, input=["a"] * 2048, dimensions=8, encoding_format="base64")
    assert len(answer.data) == 2048


@pytest.mark.parametrize("key", ["bad-key", "sk-bad-key"])
def test_a_bad_key_is_refused_without_being_shown(server: Any, key: str) -> None:
    client = server.openai(key)
    for call in (client.models.list, lambda: client.embeddings.create(model=SMALL, input="a")):
        with pytest.raises(openai.AuthenticationError) as refused:
            call()
        assert refused.value.code == "invalid_api_key"
        assert key not in str(refused.value)


def test_a_request_without_a_key_is_refused(server: Any) -> None:
    assert httpx.get(f"{server.url}/v1/models").status_code == 401


def test_a_body_that_is_no_json_is_refused(server: Any) -> None:
    answer = httpx.post(f"{server.url}/v1/embeddings", content=b"{", headers={"Authorization": "Bearer k"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_the_word_that_the_limits_are_tested_with_is_one_token() -> None:
    assert tokens.count(WORD * 100) == 100
    assert isinstance(tokens.encoding(), tiktoken.Encoding)
