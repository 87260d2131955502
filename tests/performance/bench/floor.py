"""The least that the work could cost: each part of it alone, without a pipeline around it."""

from __future__ import annotations

import base64
import http.client
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psycopg
from numpy.typing import NDArray
from pgvector.psycopg import register_vector

from docproc import tokens

WINDOW = 512
INPUTS = 256
FLYING = 8


def measure(folder: Path, *, mocks: str, conninfo: str) -> dict[str, float]:
    """Seconds of each part on the Markdown files of ``folder``: read, encode, cut, request and copy."""
    seconds: dict[str, float] = {}

    def mark(name: str, since: float) -> float:
        now = time.perf_counter()
        seconds[name] = now - since
        return now

    tokens.count("the vocabulary is loaded before the clock starts")
    at = time.perf_counter()
    texts = [path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())]
    at = mark("read", at)
    ids = [tokens.encoding().encode_ordinary(text) for text in texts]
    at = mark("encode", at)
    windows = [one[n : n + WINDOW] for one in ids for n in range(0, len(one), WINDOW)]
    decode = tokens.encoding().decode
    inputs = [decode(window) or " " for window in windows]
    at = mark("cut", at)
    vectors = _embed(inputs, mocks)
    at = mark("request", at)
    _copy(conninfo, inputs, vectors)
    mark("copy", at)
    return seconds


def _embed(inputs: Sequence[str], mocks: str) -> NDArray[np.float32]:
    requests = [inputs[n : n + INPUTS] for n in range(0, len(inputs), INPUTS)]
    with ThreadPoolExecutor(FLYING) as pool:
        return np.concatenate(list(pool.map(lambda request: _ask(request, mocks), requests)))


def _ask(inputs: Sequence[str], mocks: str) -> NDArray[np.float32]:
    body = {"model": "text-embedding-3-small", "input": list(inputs), "encoding_format": "base64", "dimensions": 1536}
    connection = http.client.HTTPConnection(urlsplit(mocks).netloc, timeout=60)
    headers = {"Authorization": "Bearer floor", "Content-Type": "application/json"}
    connection.request("POST", "/v1/embeddings", json.dumps(body), headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return np.stack([np.frombuffer(base64.b64decode(one["embedding"]), "<f4") for one in answer["data"]])


def _copy(conninfo: str, inputs: Sequence[str], vectors: NDArray[np.float32]) -> None:
    with psycopg.connect(conninfo) as conn:
        register_vector(conn)
        conn.execute("CREATE TEMPORARY TABLE floor (n integer, text text, vector vector)")
        with conn.cursor().copy("COPY floor FROM STDIN WITH (FORMAT binary)") as copy:
            copy.set_types(["int4", "text", "vector"])
            for n, (text, vector) in enumerate(zip(inputs, vectors, strict=True)):
                copy.write_row((n, text, vector))
