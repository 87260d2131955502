"""What docproc can be told: frozen sections of settings, each key with its default and what it is for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

DEFAULT_PROFILE = "local"

# Every duration is in seconds, every size in bytes or tokens as its comment says.


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """What may come in."""

    max_bytes: int = 512_000_000  # the parser's own limit for one file
    ignore: tuple[str, ...] = ()  # passed over in folders and globs: patterns as in .gitignore; see docs/ingest.md


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where bytes are kept: ``local`` (a folder of docproc's home), ``supabase`` or ``s3``."""

    backend: str = "local"  # `local`, a folder in docproc's home; `supabase`; or `s3`, AWS and all that speak like it
    bucket: str = "docproc"  # at Supabase or S3; made by you, private
    endpoint: str = ""  # S3: the store's address, without the bucket; empty: AWS_ENDPOINT_URL, else AWS itself
    region: str = ""  # S3: the bucket's; empty: AWS_REGION, else us-east-1
    prefix: str = ""  # S3: a folder of the bucket that docproc keeps to


@dataclass(frozen=True, slots=True)
class ParserSettings:
    """The paid parser and how it is asked."""

    service: str = "mock"  # mock: docproc's own server on loopback; real: the provider
    tier: str = "cost_effective"  # fast, cost_effective, agentic or agentic_plus: quality against price
    version: str = "2026-09-28"  # of the tier; pinned, because another version is another parse
    timeout: float = 60.0  # of one call; shorter than the lease
    first_poll: float = 1.0  # how long after the submit the first look comes
    max_poll: float = 30.0  # the longest wait between two looks at one parse
    deadline: float = 2400.0  # a parse that takes longer is given up and submitted again
    submits_per_10s: int = 50  # the service's limit, shared by all processes; 0: no limit
    local: tuple[str, ...] = (".md", ".markdown", ".txt", ".html", ".htm")  # parsed here, free of charge
    max_local_bytes: int = 5_000_000  # of what is read here as a whole: HTML (a tag counts 25), PDF, Office unpacked
    max_submits: int = 3  # submits of one document at most, whatever happens
    reconcile_grace: float = 60.0  # how long after a timed-out submit its job may still appear at the service


@dataclass(frozen=True, slots=True)
class ValidateSettings:
    """When a parse is refused."""

    max_failed_pages: float = 0.05  # share of the pages
    max_missing_pages: float = 0.0  # share of the file's pages that the parser may leave out
    extra_pages: str = "warn"  # pages that the file does not have: warn (status says so) or refuse
    min_characters: int = 1  # characters that are not white space, in the whole document
    min_characters_per_page: float = 0.0  # the same on average of the pages (not for text and HTML); 0: off


@dataclass(frozen=True, slots=True)
class ChunkerSettings:
    """How text is cut; the name's version names everything that changes the output."""

    name: str = "markdown-simple@1"  # other parameters are part of it: `markdown-simple@1+max=200`


@dataclass(frozen=True, slots=True)
class EmbedderSettings:
    """The embedding model and how it is asked."""

    service: str = "mock"  # mock: docproc's own server on loopback; real: the provider
    model: str = "text-embedding-3-small"  # a job keeps its model when this changes
    dimensions: int = 1536  # of the vectors; the model allows fewer than its own
    max_inputs: int = 256  # inputs a request; the API's own limit is 2,048
    max_tokens: int = 280_000  # tokens a request; the API's own limit is 300,000
    requests_per_minute: int = 0  # shared by all processes; 0: what the provider says when it becomes scarce
    tokens_per_minute: int = 0  # the same for tokens
    timeout: float = 60.0  # of one call; shorter than the lease


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The index on the vectors."""

    index: str = "hnsw"  # hnsw; halfvec: half the size, the only one above 2,000 dimensions; none: exact search
    index_from: int = 10_000  # vectors of a model from which on it is built, after a run that leaves nothing open
    build_memory: int = 1_000_000_000  # bytes that a build may use in the server; not behind a pooler


@dataclass(frozen=True, slots=True)
class RunnerSettings:
    """Claims, retries and threads."""

    lease: float = 120.0  # how long a claim lasts without a heartbeat; longer than any call
    heartbeat: float = 30.0  # how often leases are renewed; half of the lease at most
    max_attempts: int = 5  # tries of one stage before the document fails
    backoff_base: float = 2.0  # wait after the first failed try; doubles with each
    backoff_cap: float = 300.0  # the longest wait between two tries
    stop_after_alike: int = 25  # failures in a row with one code after which a run stops; 0: never
    parse_threads: int = 8  # calls to the parser at once
    cpu_threads: int = 2  # documents chunked at once; above 2, by processes where there is much text
    embed_threads: int = 4  # requests to the embedder at once


@dataclass(frozen=True, slots=True)
class AlertsSettings:
    """What must not be; 0 turns an alert off."""

    failed_share: float = 0.2  # share of the jobs that ended in the last 24 h, from ten on
    oldest: float = 86_400.0  # a document stands in one open state for longer
    stuck: float = 3600.0  # a claim whose process is dead waits for longer to be taken over
    no_success_for: float = 0.0  # there is work, and no run ended well for longer; set it to twice the cron's interval
    budget_usd_per_day: float = 0.0  # spent since midnight UTC, an estimate


@dataclass(frozen=True, slots=True)
class CleanupSettings:
    """What `docproc cleanup` keeps, and for how long."""

    grace: float = 2_592_000.0  # 30 days that a withdrawn document and a replaced version are kept, to come back free
    history: float = 7_776_000.0  # 90 days of the changes of finished jobs, and of the receipts of runs


_CREDITS = {"fast": 1.0, "cost_effective": 3.0, "agentic": 10.0, "agentic_plus": 45.0}
_TOKENS = {"text-embedding-3-small": 0.02, "text-embedding-3-large": 0.13}


@dataclass(frozen=True, slots=True)
class PricesSettings:
    """What the providers charge, with the day on which that was read: for estimates and budgets, never a bill."""

    as_of: str = "2026-10-15"  # the day on which these were read; those of LlamaParse are second-hand
    usd_per_credit: float = 0.00125  # LlamaParse: 1.25 USD for 1,000 credits
    credits_per_page: Mapping[str, float] = field(default_factory=_CREDITS.copy)  # LlamaParse, by tier
    usd_per_million_tokens: Mapping[str, float] = field(default_factory=_TOKENS.copy)  # OpenAI, by embedding model


@dataclass(frozen=True, slots=True)
class BudgetSettings:
    """What paid calls may cost in USD, mocks at list price too; 0: no limit."""

    per_run: float = 0.0  # USD of one run, and of all that go on beside it; `--budget` overrides it
    per_day: float = 0.0  # USD of a day (UTC), all processes together
    per_month: float = 0.0  # USD of a month (UTC), all processes together
    pages_if_unknown: int = 10  # reserved for a document whose pages cannot be counted before it is parsed


@dataclass(frozen=True, slots=True)
class DeploySettings:
    """What `docproc deploy` does when it goes back."""

    way_back: str = ""  # a command that installs `{version}`, the docproc from before; empty: it is only printed


@dataclass(frozen=True, slots=True)
class MocksSettings:
    """The mock services of the local profile."""

    address: str = ""  # of mocks that run already; empty: docproc starts its own
    processing_delay: float = 2.0  # how long a mock parse takes
    size_variation: float = 0.0  # makes mock texts longer by up to this share
    seed: int = 0  # of the faults and the size variation
    faults: tuple[str, ...] = ()  # what goes wrong, and how often; see mocks/README.md


class Secret(str):
    """A string that never shows itself in a repr, and so in no log or traceback."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret('…')"


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the environment may hold, under the names that users already have."""

    database_url: Secret | None = None
    llama_cloud_api_key: Secret | None = None
    llama_cloud_base_url: Secret | None = None
    openai_api_key: Secret | None = None
    openai_base_url: Secret | None = None
    supabase_url: Secret | None = None
    supabase_service_role_key: Secret | None = None
    aws_access_key_id: Secret | None = None
    aws_secret_access_key: Secret | None = None
    aws_session_token: Secret | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that docproc can be told."""

    profile: str = DEFAULT_PROFILE
    home: Path = Path(".docproc")
    user: str = "default"
    ingest: IngestSettings = field(default_factory=IngestSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    parser: ParserSettings = field(default_factory=ParserSettings)
    validate: ValidateSettings = field(default_factory=ValidateSettings)
    chunker: ChunkerSettings = field(default_factory=ChunkerSettings)
    embedder: EmbedderSettings = field(default_factory=EmbedderSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    runner: RunnerSettings = field(default_factory=RunnerSettings)
    alerts: AlertsSettings = field(default_factory=AlertsSettings)
    cleanup: CleanupSettings = field(default_factory=CleanupSettings)
    prices: PricesSettings = field(default_factory=PricesSettings)
    budget: BudgetSettings = field(default_factory=BudgetSettings)
    deploy: DeploySettings = field(default_factory=DeploySettings)
    mocks: MocksSettings = field(default_factory=MocksSettings)
    secrets: Secrets = field(default_factory=Secrets)
    origins: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of every value that is no secret."""
        told = {section: asdict(getattr(self, section)) for section in SECTIONS}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()


SECTIONS = (
    "ingest",
    "storage",
    "parser",
    "validate",
    "chunker",
    "embedder",
    "search",
    "runner",
    "alerts",
    "cleanup",
    "prices",
    "budget",
    "deploy",
    "mocks",
)
