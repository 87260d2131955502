"""What can go wrong at the mock services, in one table, and the seeded draw that decides when it does."""

from __future__ import annotations

import hashlib
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """When a fault acts on a request."""

    REFUSE = "refuse"  # instead of the work: nothing is created, nothing is billed
    SPOIL = "spoil"  # after the work: it is done and billed, the answer is not what it should be
    JOB = "job"  # on the parse job that the request creates, for as long as the job lives


@dataclass(frozen=True, slots=True)
class Fault:
    """A row of the catalogue: ``operations`` are the requests it can strike unless ``on=`` names others."""

    name: str
    effect: Effect
    operations: tuple[str, ...]
    description: str
    options: Mapping[str, Any] = field(default_factory=dict)


PARSE_OPERATIONS = ("upload", "submit", "poll", "fetch", "list", "cancel", "delete", "versions")
EMBED_OPERATIONS = ("embeddings", "models")
STORAGE_OPERATIONS = ("put", "get", "head", "remove", "listing", "bucket")

_SERVICES = {"llamaparse": PARSE_OPERATIONS, "openai": EMBED_OPERATIONS, "storage": STORAGE_OPERATIONS}

_SUBMIT, _FETCH, _GET, _EMBED = ("submit",), ("fetch",), ("poll", "fetch"), ("embeddings",)

_ROWS = (
    Fault("llamaparse.unauthorized", Effect.REFUSE, PARSE_OPERATIONS, "401: the key is refused"),
    Fault("llamaparse.payment_required", Effect.REFUSE, _SUBMIT, "402: the credits are used up"),
    Fault("llamaparse.too_large", Effect.REFUSE, ("upload",), "413: the file is too large"),
    Fault("llamaparse.unprocessable", Effect.REFUSE, _SUBMIT, "422 with the field that is wrong, as FastAPI tells it"),
    Fault(
        "llamaparse.rate_limit",
        Effect.REFUSE,
        _SUBMIT,
        "429; retry_after=SECONDS sends the header",
        {"retry_after": None},
    ),
    Fault("llamaparse.server_error", Effect.REFUSE, _SUBMIT, "500 before anything was created"),
    Fault("llamaparse.unavailable", Effect.REFUSE, PARSE_OPERATIONS, "503: the service is down"),
    Fault("llamaparse.poll_error", Effect.REFUSE, _GET, "500 when the job's state is asked for, be it ready or not"),
    Fault("llamaparse.fetch_error", Effect.REFUSE, _FETCH, "500 when the result of a finished job is fetched"),
    Fault("llamaparse.expired", Effect.REFUSE, _FETCH, "404 when the result of a finished job is fetched: it expired"),
    Fault("llamaparse.error_after_accept", Effect.SPOIL, _SUBMIT, "500, but the job exists, runs and is billed"),
    Fault(
        "llamaparse.slow", Effect.SPOIL, _SUBMIT, "the answer comes late (seconds=), the job exists", {"seconds": 5.0}
    ),
    Fault("llamaparse.reset", Effect.SPOIL, _SUBMIT, "the connection breaks inside the answer, the job exists"),
    Fault("llamaparse.empty_answer", Effect.SPOIL, _SUBMIT, "200 with {} and nothing else, the job exists"),
    Fault("llamaparse.html_answer", Effect.SPOIL, _SUBMIT, "200 with a page of HTML, as proxies send; the job exists"),
    Fault("llamaparse.unknown_state", Effect.SPOIL, _GET, "a state that no client knows (state=)", {"state": "PAUSED"}),
    Fault("llamaparse.failed", Effect.JOB, _SUBMIT, "the job ends FAILED (message=)", {"message": "Parsing failed"}),
    Fault(
        "llamaparse.cached_failure",
        Effect.JOB,
        _SUBMIT,
        "FAILED at once and free, as after an earlier failure; disable_cache avoids it",
        {"message": "Parsing failed"},
    ),
    Fault("llamaparse.failed_pages", Effect.JOB, _SUBMIT, "COMPLETED, but some pages failed (pages=)", {"pages": 1}),
    Fault("llamaparse.missing_pages", Effect.JOB, _SUBMIT, "COMPLETED, but the last pages are absent", {"pages": 1}),
    Fault("llamaparse.extra_pages", Effect.JOB, _SUBMIT, "COMPLETED with pages that the file has not", {"pages": 1}),
    Fault("llamaparse.no_markdown", Effect.JOB, _SUBMIT, "COMPLETED, the text is there, the Markdown is null"),
    Fault(
        "llamaparse.bad_text", Effect.JOB, _SUBMIT, "pages hold a known bad text (text=)", {"text": "NO_CONTENT_HERE"}
    ),
    Fault(
        "llamaparse.usage_null", Effect.JOB, _SUBMIT, "usage stays null, for ever or for seconds=", {"seconds": None}
    ),
    Fault("llamaparse.stuck", Effect.JOB, _SUBMIT, "the job never ends (state=)", {"state": "RUNNING"}),
    Fault("llamaparse.late", Effect.JOB, _SUBMIT, "the job takes longer (seconds=)", {"seconds": 30.0}),
    Fault(
        "llamaparse.not_found_yet", Effect.JOB, _SUBMIT, "404 for the first seconds after the submit", {"seconds": 1.0}
    ),
    Fault("openai.unauthorized", Effect.REFUSE, EMBED_OPERATIONS, "401 invalid_api_key"),
    Fault("openai.model_not_found", Effect.REFUSE, _EMBED, "404 model_not_found"),
    Fault("openai.bad_input", Effect.REFUSE, _EMBED, "400 invalid_request_error; with match= for one text only"),
    Fault(
        "openai.rate_limit",
        Effect.REFUSE,
        _EMBED,
        "429 rate_limit_exceeded; retry_after=SECONDS sends the header",
        {"retry_after": None},
    ),
    Fault("openai.insufficient_quota", Effect.REFUSE, _EMBED, "429 insufficient_quota: the money is used up"),
    Fault("openai.server_error", Effect.REFUSE, _EMBED, "500 server_error"),
    Fault("openai.unavailable", Effect.REFUSE, EMBED_OPERATIONS, "503: overloaded"),
    Fault("openai.slow", Effect.SPOIL, _EMBED, "the answer comes late (seconds=) and is billed", {"seconds": 5.0}),
    Fault("openai.truncated", Effect.SPOIL, _EMBED, "200 with half of the JSON"),
    Fault("openai.reset", Effect.SPOIL, _EMBED, "the connection breaks inside the answer"),
    Fault("openai.html_answer", Effect.SPOIL, _EMBED, "200 with a page of HTML, as proxies send"),
    Fault("openai.empty_answer", Effect.SPOIL, _EMBED, "200 with {} and nothing else"),
    Fault("openai.too_few", Effect.SPOIL, _EMBED, "one vector fewer than inputs"),
    Fault("openai.too_many", Effect.SPOIL, _EMBED, "one vector more than inputs"),
    Fault("openai.wrong_order", Effect.SPOIL, _EMBED, "the vectors stand in reverse order; their index is right"),
    Fault("openai.repeated_index", Effect.SPOIL, _EMBED, "every vector has index 0"),
    Fault("openai.wrong_dimensions", Effect.SPOIL, _EMBED, "vectors one number too short"),
    Fault("openai.nan", Effect.SPOIL, _EMBED, "the first vector holds NaN"),
    Fault("openai.inf", Effect.SPOIL, _EMBED, "the first vector holds infinity"),
    Fault("openai.zero", Effect.SPOIL, _EMBED, "the first vector is all zeros"),
    Fault("openai.null", Effect.SPOIL, _EMBED, "the first vector is null"),
    Fault("storage.refused_key", Effect.REFUSE, STORAGE_OPERATIONS, "403: the key is refused; 404 where it reads"),
    Fault(
        "storage.unavailable",
        Effect.REFUSE,
        STORAGE_OPERATIONS,
        "503; retry_after=SECONDS sends the header",
        {"retry_after": None},
    ),
    Fault("storage.quota", Effect.REFUSE, ("put", "get"), "402: the project's quota is used up"),
    Fault("storage.too_large", Effect.REFUSE, ("put",), "413: larger than the bucket takes"),
    Fault("storage.error_after_accept", Effect.SPOIL, ("put", "remove"), "500, but it was done"),
    Fault(
        "storage.slow", Effect.SPOIL, ("put", "get"), "the answer comes late (seconds=), it was done", {"seconds": 5.0}
    ),
    Fault("storage.corrupt", Effect.SPOIL, ("get",), "a byte is wrong: the ETag is another MD5"),
    Fault("storage.cut", Effect.SPOIL, ("get",), "the connection breaks in the middle of the bytes"),
)

FAULTS: dict[str, Fault] = {fault.name: fault for fault in _ROWS}
"""The catalogue; ``python -m mocks --list-faults`` prints it."""

_COMMON: dict[str, Callable[[str], Any]] = {
    "rate": float,
    "times": int,
    "after": int,
    "over": int,
    "over_tokens": int,
    "per": float,
    "match": str,
    "on": str,
}
_TYPES: dict[str, Callable[[str], Any]] = {
    "retry_after": float,
    "seconds": float,
    "pages": int,
    "state": str,
    "message": str,
    "text": str,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A fault in force: strikes ``rate`` of requests that ``match``, ``times`` at most, the first ``after`` never.

    With ``over`` it strikes only those that come when as many have passed in the last ``per`` seconds: a real limit;
    with ``over_tokens`` those with which more tokens than that would have passed.
    """

    spec: str
    fault: Fault
    operations: tuple[str, ...]
    options: Mapping[str, Any]
    rate: float = 1.0
    times: int | None = None
    after: int = 0
    over: int | None = None
    over_tokens: int | None = None
    per: float = 60.0
    match: str = ""


def parse_rule(spec: str) -> Rule:
    """The rule that ``spec`` writes: ``openai.rate_limit:rate=0.1,retry_after=2``.

    Raises ValueError, with what would be right, for a fault or an option that does not exist.
    """
    name, _, rest = spec.partition(":")
    fault = FAULTS.get(name.strip())
    if fault is None:
        raise ValueError(f"no fault is called {name!r}; python -m mocks --list-faults shows them all")
    known = _COMMON | {option: _TYPES[option] for option in fault.options}
    given: dict[str, Any] = {}
    for pair in filter(None, (part.strip() for part in rest.split(","))):
        option, equals, value = pair.partition("=")
        if not equals or option not in known:
            raise ValueError(f"{fault.name} has no option {option!r}; it has {', '.join(known)}")
        try:
            given[option] = known[option](value)
        except ValueError:
            raise ValueError(f"{fault.name}: {option}={value} is no number") from None
    on = given.pop("on", "")
    operations = tuple(on.split("+")) if on else fault.operations
    every = fault.operations
    if fault.effect is not Effect.JOB:
        every = _SERVICES[fault.name.partition(".")[0]]
    if not set(operations) <= set(every):
        raise ValueError(f"{fault.name}: on={on} is not among {'+'.join(every)}")
    common = {option: given.pop(option) for option in list(given) if option in _COMMON}
    return Rule(spec, fault, operations, {**fault.options, **given}, **common)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a request is about: ``key`` names it equally on every run, ``texts`` is what ``match=`` looks into."""

    key: str = ""
    texts: tuple[str, ...] = ()
    tokens: int = 0


class Faults:
    """The rules in force. A draw depends on seed, rule, subject and how often it came, never on time or order."""

    def __init__(self, specs: Iterable[str] = (), seed: int = 0) -> None:
        self.seed = seed
        self.rules = tuple(parse_rule(spec) for spec in specs)
        self.fired: Counter[int] = Counter()
        self._eligible: Counter[int] = Counter()
        self._seen: Counter[tuple[int, str, str]] = Counter()
        self._passed: defaultdict[int, deque[tuple[float, int]]] = defaultdict(deque)

    def draw(self, operation: str, subject: Subject) -> list[Rule]:
        """The rules that strike this request: one that refuses it, alone, or any number of others."""
        struck: list[int] = []
        for at, rule in sorted(enumerate(self.rules), key=lambda pair: pair[1].fault.effect is not Effect.REFUSE):
            if operation in rule.operations and self._strikes(at, rule, operation, subject):
                struck.append(at)
                if rule.fault.effect is Effect.REFUSE:
                    break
        self.fired.update(struck)
        return [self.rules[at] for at in struck]

    def _strikes(self, at: int, rule: Rule, operation: str, subject: Subject) -> bool:
        if rule.match and not any(rule.match in text for text in subject.texts):
            return False
        if rule.over is not None and self._within_limit(at, rule.over, rule.per, 1):
            return False
        if rule.over_tokens is not None and self._within_limit(at, rule.over_tokens, rule.per, subject.tokens):
            return False
        self._eligible[at] += 1
        if self._eligible[at] <= rule.after or (rule.times is not None and self.fired[at] >= rule.times):
            return False
        occurrence = (at, operation, subject.key)
        self._seen[occurrence] += 1
        return _uniform(self.seed, at, rule.spec, operation, subject.key, self._seen[occurrence]) < rule.rate

    def _within_limit(self, at: int, over: int, per: float, weight: int) -> bool:
        now, passed = time.monotonic(), self._passed[at]
        while passed and passed[0][0] <= now - per:
            passed.popleft()
        if sum(one for _, one in passed) + weight > over:
            return False
        passed.append((now, weight))
        return True


def _uniform(*parts: object) -> float:
    """A number in [0, 1) that the ``parts`` determine."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64
