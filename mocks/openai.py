"""OpenAI's embeddings and models endpoints: its limits, its error bodies, its headers, its bill."""

from __future__ import annotations

import base64
import json
import time
from collections import deque
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from docproc import tokens

from .answers import error, retry_after, spoil
from .faults import Effect, Rule, Subject
from .services import Call, bearer_key

MODELS = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072, "text-embedding-ada-002": 1536}
"""The embedding models and the dimensions of their vectors."""

MAX_TOKENS_AN_INPUT = 8_192
MAX_INPUTS = 2_048
MAX_TOKENS_A_REQUEST = 300_000
REQUESTS_A_MINUTE = 100_000
TOKENS_A_MINUTE = 1_000_000_000
"""What the rate headers speak of; nobody is refused for it."""

_MODELS_CREATED = 1_705_948_997
_KEYS_PAGE = "You can find your API key at https://platform.openai.com/account/api-keys."
_INVALID_INPUT = "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-reference."


async def list_models(request: Request, call: Call) -> Response:
    """GET /v1/models."""
    refusal = _refused_key(request) or _refusal(call.draw(Subject("models")))
    return refusal or JSONResponse({"object": "list", "data": [_model(id_) for id_ in MODELS]})


async def get_model(request: Request, call: Call) -> Response:
    """GET /v1/models/{id}."""
    id_ = request.path_params["id"]
    refusal = _refused_key(request) or _refusal(call.draw(Subject(id_)))
    return refusal or (JSONResponse(_model(id_)) if id_ in MODELS else _unknown_model(id_))


async def create_embeddings(request: Request, call: Call) -> Response:
    """POST /v1/embeddings: the checks in the service's order, then the vectors, then what the faults make of them."""
    if refusal := _refused_key(request):
        return refusal
    try:
        body = json.loads(await request.body())
        texts = _texts(body.get("input"))
    except (ValueError, AttributeError):
        return error(400, "We could not parse the JSON body of your request.")
    counts = await run_in_threadpool(lambda: [tokens.count(text) for text in texts or []])
    key = sha256("\0".join(texts or []).encode("utf-8", "replace")).hexdigest()
    subject = Subject(key, tuple(texts or []), sum(counts))
    refusal = _refusal(call.draw(subject)) or _refused_request(body, texts)
    if refusal or texts is None:
        return refusal or error(400, _INVALID_INPUT)
    if refusal := _refused_length(counts):
        return refusal
    call.services.state.add_embeddings(body["model"], len(texts), sum(counts))
    answer = await run_in_threadpool(_answer, body, texts, sum(counts), call.struck)
    return await spoil(answer, call.struck)


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _refused_key(request: Request) -> Response | None:
    key = bearer_key(request)
    if not key:
        return error(401, f"You didn't provide an API key in an Authorization header. {_KEYS_PAGE}")
    if key.startswith(("bad-", "sk-bad")):
        hidden = f"{key[:3]}{'*' * 8}"
        return error(401, f"Incorrect API key provided: {hidden}. {_KEYS_PAGE}", code="invalid_api_key")
    return None


def _refusal(rule: Rule | None) -> Response | None:
    """The refusal that a fault orders."""
    if rule is None:
        return None
    name = rule.fault.name.partition(".")[2]
    if name == "rate_limit":
        message = "Rate limit reached for embeddings on tokens per min (TPM). Please try again in 2s."
        return error(429, message, kind="tokens", code="rate_limit_exceeded", headers=retry_after(rule))
    status, message, kind, code = {
        "unauthorized": (401, f"Incorrect API key provided. {_KEYS_PAGE}", "invalid_request_error", "invalid_api_key"),
        "model_not_found": (
            404,
            "The model does not exist or you do not have access to it.",
            "invalid_request_error",
            "model_not_found",
        ),
        "bad_input": (400, _INVALID_INPUT, "invalid_request_error", None),
        "insufficient_quota": (
            429,
            "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota",
            "insufficient_quota",
        ),
        "server_error": (500, "The server had an error while processing your request.", "server_error", None),
        "unavailable": (503, "The engine is currently overloaded, please try again later.", "server_error", None),
    }[name]
    return error(status, message, kind=kind, code=code)


def _unknown_model(id_: object) -> Response:
    return error(404, f"The model `{id_}` does not exist or you do not have access to it.", code="model_not_found")


def _refused_request(body: dict[str, Any], texts: list[str] | None) -> Response | None:
    """What is wrong with the request before its tokens are counted."""
    model = body.get("model")
    if not model:
        return error(400, "you must provide a model parameter")
    if model not in MODELS:
        return _unknown_model(model)
    if not texts or any(not text for text in texts):
        return error(400, _INVALID_INPUT)
    if len(texts) > MAX_INPUTS:
        message = (
            f"Invalid 'input': array too long. Expected an array with maximum length {MAX_INPUTS}, but got an array"
        )
        return error(400, f"{message} with length {len(texts)} instead.", code="array_above_max_length", param="input")
    return _refused_options(body, MODELS[model])


def _refused_options(body: dict[str, Any], largest: int) -> Response | None:
    dimensions = body.get("dimensions")
    if dimensions is not None and body["model"] == "text-embedding-ada-002":
        return error(400, "This model does not support specifying dimensions.")
    if dimensions is not None and not (isinstance(dimensions, int) and 1 <= dimensions <= largest):
        return error(400, f"Invalid value for 'dimensions' = {dimensions}. Must be between 1 and {largest}.")
    if body.get("encoding_format", "float") not in ("float", "base64"):
        return error(400, "Invalid value for 'encoding_format'. Supported values are: 'float' and 'base64'.")
    return None


def _refused_length(counts: Sequence[int]) -> Response | None:
    if max(counts) > MAX_TOKENS_AN_INPUT:
        message = f"This model's maximum context length is {MAX_TOKENS_AN_INPUT} tokens, however you requested"
        return error(400, f"{message} {max(counts)} tokens. Please reduce your prompt.")
    if sum(counts) > MAX_TOKENS_A_REQUEST:
        code = "max_tokens_per_request"
        message = f"Requested {sum(counts)} tokens, max {MAX_TOKENS_A_REQUEST} tokens per request"
        return error(400, message, kind=code, code=code)
    return None


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _model(id_: str) -> dict[str, Any]:
    return {"id": id_, "object": "model", "created": _MODELS_CREATED, "owned_by": "system"}


def _texts(given: object) -> list[str] | None:
    """The inputs as texts: a string, strings, one array of token ids or several; None when they are none of these."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        return None
    if all(isinstance(one, str) for one in given):
        return given
    arrays = [given] if all(isinstance(one, int) for one in given) else given
    if not all(isinstance(one, list) and all(isinstance(id_, int) for id_ in one) for one in arrays):
        return None
    try:
        return [tokens.encoding().decode(one) for one in arrays]
    except (KeyError, OverflowError):
        return None


def _answer(body: dict[str, Any], texts: list[str], used: int, struck: list[Rule]) -> Response:
    import numpy as np

    from .vectors import embed

    vectors: list[Any] = list(embed(texts, body.get("dimensions") or MODELS[body["model"]], body["model"]))
    names = [rule.fault.name.partition(".")[2] for rule in struck if rule.fault.effect is Effect.SPOIL]
    for name in names:
        if name in ("nan", "inf", "zero"):
            vectors[0] = np.full_like(vectors[0], {"nan": np.nan, "inf": np.inf, "zero": 0}[name])
        elif name == "wrong_dimensions":
            vectors = [vector[:-1] for vector in vectors]
        elif name == "too_few":
            vectors.pop()
        elif name == "too_many":
            vectors.append(vectors[-1])
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _encoded(vector, as_base64)}
        for index, vector in enumerate(vectors)
    ]
    for name in names:
        if name == "null":
            data[0]["embedding"] = None
        elif name == "wrong_order":
            data.reverse()
        elif name == "repeated_index":
            data = [{**one, "index": 0} for one in data]
    usage = {"prompt_tokens": used, "total_tokens": used}
    answer = {"object": "list", "data": data, "model": body["model"], "usage": usage}
    # Not JSONResponse: NaN must get through.
    return Response(json.dumps(answer), 200, _WINDOW.headers(used), "application/json")


def _encoded(vector: Any, as_base64: bool) -> object:
    return base64.b64encode(vector.astype("<f4").tobytes()).decode() if as_base64 else vector.tolist()


class _Window:
    """Counts the last minute for the rate headers."""

    def __init__(self) -> None:
        self._calls: deque[tuple[float, int]] = deque()

    def headers(self, used: int) -> dict[str, str]:
        """The headers of an answer that has just used ``used`` tokens."""
        now = time.monotonic()
        self._calls.append((now, used))
        while self._calls[0][0] < now - 60:
            self._calls.popleft()
        reset = f"{60 - (now - self._calls[0][0]):.3g}s"
        return {
            "x-ratelimit-limit-requests": str(REQUESTS_A_MINUTE),
            "x-ratelimit-limit-tokens": str(TOKENS_A_MINUTE),
            "x-ratelimit-remaining-requests": str(max(0, REQUESTS_A_MINUTE - len(self._calls))),
            "x-ratelimit-remaining-tokens": str(max(0, TOKENS_A_MINUTE - sum(tokens for _, tokens in self._calls))),
            "x-ratelimit-reset-requests": reset,
            "x-ratelimit-reset-tokens": reset,
            "x-request-id": f"req_{uuid4().hex}",
        }


_WINDOW = _Window()
