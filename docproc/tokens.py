"""Exact cl100k_base token counts with the vocabulary that ships with docproc: no network, ever."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tiktoken

VOCABULARY = Path(__file__).parent / "vocabulary" / "cl100k_base.tiktoken"
"""OpenAI's published vocabulary of cl100k_base, see vocabulary/README.md."""

VOCABULARY_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"

_PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|"""
    r"""\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)
"""How cl100k_base cuts text before merging, from tiktoken's ``openai_public``; a test holds the two equal."""


@cache
def encoding() -> tiktoken.Encoding:
    """The cl100k_base encoding. Raises ValueError when the shipped vocabulary was altered."""
    import tiktoken

    data = VOCABULARY.read_bytes()
    if hashlib.sha256(data).hexdigest() != VOCABULARY_SHA256:
        raise ValueError(f"{VOCABULARY} is not the published cl100k_base vocabulary; install docproc again")
    ranks = {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}
    return tiktoken.Encoding("cl100k_base", pat_str=_PATTERN, mergeable_ranks=ranks, special_tokens={})


def count(text: str) -> int:
    """The number of cl100k tokens in ``text``; ``<|endoftext|>`` and its like count as ordinary text."""
    return len(encoding().encode_ordinary(text))


def count_repeated(text: str) -> int:
    """``count`` for what comes again and again: headings, table headers, the few marks at a chunk's end."""
    return _remembered(text) if len(text) <= _MEMORABLE else count(text)


_MEMORABLE = 500
"""Characters of a text whose count is remembered."""

_remembered = lru_cache(maxsize=4096)(count)
