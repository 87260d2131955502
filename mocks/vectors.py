"""Embeddings without a model: hashed words and word pairs, so that like texts are near and search works offline."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_COMMON_WORDS = """
a about after all also an and any are as at be been but by can could did do does for from had has have he her his
how i if in into is it its more most no not of on one only or other our out over she so some such than that the
their them then there these they this to up us use was we were what when where which who will with would you your au
aus auf das de dem den der des die du ein eine el en est et für im ist la las le les los mit nicht o os para por que
sich sie sind un una und une von zu
"""
_COMMON = frozenset(_COMMON_WORDS.split())

# Chosen by trial: of queries of 6 to 8 words cut at random from 550 chunks of licences and manuals, which repeat each
# other a lot, 92 % find their chunk first and 99 % among the first five.
_COMMON_WEIGHT = 0.3
_SHORT_WEIGHT = 0.5
_PAIR_WEIGHT = 1.5
_STEM_WEIGHT = 0.3
_COUNT_WEIGHT = 0.2
_STEM_LETTERS = 5

_WORD = re.compile(r"\w+")
_CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\u0e00-\u0e7f"
_CJK_RUN = re.compile(rf"[{_CJK}]+")
_PIECE = re.compile(rf"[{_CJK}]+|[^{_CJK}]+")

_MIX = np.uint64(0x9E3779B97F4A7C15)
_PAIR_SALT = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(32)


def embed(texts: Sequence[str], dimensions: int, model: str) -> NDArray[np.float32]:
    """Vectors of shape (texts, dimensions), float32, of length 1; the same for the same text, model and dimensions.

    A feature is a word, the beginning of a word, or two words that stand side by side. Each is hashed to one of the
    ``dimensions`` with a sign (feature hashing, Weinberger et al. 2009).
    """
    rows, features, weights = _features(texts, _hash(model))
    order = np.lexsort((features, rows))
    rows, features, weights = rows[order], features[order], weights[order]
    first = np.ones(len(rows), dtype=bool)
    first[1:] = (rows[1:] != rows[:-1]) | (features[1:] != features[:-1])
    starts = np.flatnonzero(first)
    counts = np.diff(np.append(starts, len(rows)))
    rows, features, weights = rows[starts], features[starts], weights[starts] * (1 + _COUNT_WEIGHT * np.log(counts))
    cells = rows * dimensions + ((features >> _SHIFT) % np.uint64(dimensions)).astype(np.int64)
    signed = np.where(features & np.uint64(1), weights, -weights)
    vectors = np.bincount(cells, weights=signed, minlength=len(texts) * dimensions).reshape(len(texts), dimensions)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    # Features that cancel each other out must not leave a vector without direction.
    for row in np.flatnonzero(lengths[:, 0] < 1e-9).tolist():
        vectors[row] = 0
        vectors[row, _hash(texts[row]) % dimensions] = lengths[row] = 1
    unit: NDArray[np.float32] = (vectors / lengths).astype(np.float32)
    return unit


def _features(texts: Sequence[str], salt: int) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.float64]]:
    """Row, hash and weight of every feature of ``texts``, repetitions included."""
    words = [[_word(word) for word in _words(text)] or [(_hash(text), 0, 1.0)] for text in texts]
    lengths = np.array([len(row) for row in words])
    rows = np.repeat(np.arange(len(texts)), lengths)
    flat = [word for row in words for word in row]
    hashes = np.array([word[0] for word in flat], dtype=np.uint64) ^ np.uint64(salt)
    stems = np.array([word[1] for word in flat], dtype=np.uint64)
    weights = np.array([word[2] for word in flat])
    neighbours = rows[1:] == rows[:-1]
    pairs = _mixed(hashes[:-1] * _MIX + _mixed(hashes[1:] ^ _PAIR_SALT))[neighbours]
    pair_weights = (_PAIR_WEIGHT * np.sqrt(weights[:-1] * weights[1:]))[neighbours]
    stemmed = stems != 0
    return (
        np.concatenate([rows, rows[:-1][neighbours], rows[stemmed]]),
        np.concatenate([hashes, pairs, stems[stemmed] ^ np.uint64(salt)]),
        np.concatenate([weights, pair_weights, weights[stemmed] * _STEM_WEIGHT]),
    )


def _words(text: str) -> list[str]:
    """The words of ``text`` in lower case; where a script has no blanks, its overlapping character pairs."""
    words = _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
    if not _CJK_RUN.search(text):
        return words
    return [part for word in words for piece in _PIECE.findall(word) for part in _pairs_of_characters(piece)]


def _pairs_of_characters(piece: str) -> list[str]:
    if len(piece) < 3 or not _CJK_RUN.match(piece):
        return [piece]
    return [piece[at : at + 2] for at in range(len(piece) - 1)]


@lru_cache(maxsize=200_000)
def _word(word: str) -> tuple[int, int, float]:
    """Hash of the word, hash of its beginning (0: it is too short to have one) and weight."""
    if word in _COMMON:
        return _hash(word), 0, _COMMON_WEIGHT
    if len(word) < 3 and word.isascii():
        return _hash(word), 0, _SHORT_WEIGHT
    return _hash(word), _hash(f"{word[:_STEM_LETTERS]}…") if len(word) > _STEM_LETTERS else 0, 1.0


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64: every input bit reaches every output bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
