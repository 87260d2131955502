"""The composition root: opens what the settings name, local services included, and closes it in the right order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self
from uuid import UUID, uuid4

from docproc.budget import Budget
from docproc.errors import ConfigError
from docproc.local.identity import owner_name
from docproc.model import embed_version
from docproc.prices import Prices
from docproc.settings import Secret, Settings
from docproc.states import Command
from docproc.store import Target

if TYPE_CHECKING:
    from docproc.embedders import Embedder
    from docproc.limits import Limits
    from docproc.parsers import Parser
    from docproc.postgres.database import Database
    from docproc.postgres.forecast import Foreseen
    from docproc.postgres.store import PostgresStore
    from docproc.stages import Stage
    from docproc.storage import Storage

MOCK_KEY = "docproc-mock"
"""Sent to the mocks in place of a key: a real one never leaves for a mock."""


@dataclass(frozen=True, slots=True)
class Service:
    """Where a paid service is and what opens it; ``base_url`` None is the vendor's own address."""

    kind: str
    base_url: str | None
    api_key: str = field(repr=False)


class App:
    """Everything one docproc process holds open. Each part is opened when it is first used.

    ``only``: the queue shows the jobs of that user and no others. ``trial``: those of the settings' user, which are a
    trial's.
    """

    def __init__(self, settings: Settings, *, only: str | None = None, trial: bool = False) -> None:
        self.settings = settings
        self.trial = trial
        self.only = settings.user if trial else only
        self.run_id: UUID = uuid4()
        self.owner = owner_name()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    # ── database ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded one: it is as long as DATABASE_URL is not set."""
        return self.settings.secrets.database_url is None

    @cached_property
    def database(self) -> Database:
        """The database, without a look at its schema. Starts the embedded one when no other is named."""
        from docproc.postgres.database import Database

        revive: Callable[[], str] | None = None
        if self.settings.secrets.database_url is not None:
            conninfo: str = self.settings.secrets.database_url
        elif self.settings.profile == "local":
            from docproc.local import cluster

            handle = self._stack.enter_context(cluster.start(self.settings.home))
            conninfo, revive = handle.dsn, handle.revive
        else:
            raise missing("DATABASE_URL", self.settings)
        database = Database(conninfo, revive=revive)
        self._stack.callback(database.close)
        return database

    @cached_property
    def store(self) -> PostgresStore:
        """The store over a database whose schema is right; the embedded one is migrated here."""
        from docproc.postgres import migrations
        from docproc.postgres.store import PostgresStore

        if self.embedded:
            migrations.migrate(self.database)
        migrations.check(self.database)
        return PostgresStore(
            self.database,
            owner=self.owner,
            run_id=self.run_id,
            settings=self.settings.runner,
            only=self.only,
            trial=self.trial,
            prices=Prices.of(self.settings.prices),
            budget=Budget.of(self.settings.budget),
        )

    @cached_property
    def foreseen(self) -> Foreseen | None:
        """What the database knows, for who only looks ahead; None where the embedded one does not exist yet.

        Raises SchemaError when it is not migrated: that would be a write.
        """
        from docproc.postgres import migrations
        from docproc.postgres.forecast import Foreseen

        if self.embedded and not (self.settings.home / "postgres" / "data").is_dir():
            return None
        migrations.check(self.database)
        return Foreseen(self.database)

    @cached_property
    def storage(self) -> Storage:
        """Where the bytes are: what the settings name, or the mocks' storage."""
        from docproc.local import mocks
        from docproc.storage import open_storage

        if not mocks.serve_storage(self.settings):
            return open_storage(self.settings)
        mocks.make_bucket(self.mocks, self.settings.storage.bucket)
        at_mocks = replace(
            self.settings.secrets, supabase_url=Secret(self.mocks), supabase_service_role_key=Secret(MOCK_KEY)
        )
        return open_storage(replace(self.settings, secrets=at_mocks))

    # ── services ────────────────────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def mocks(self) -> str:
        """The address of the mock services; starts them unless the settings name some that run."""
        if self.settings.mocks.address:
            return self.settings.mocks.address
        from docproc.local import mocks

        wanted = self.settings.mocks
        options = mocks.MockOptions(
            processing_delay=wanted.processing_delay,
            size_variation=wanted.size_variation,
            faults=wanted.faults,
            seed=wanted.seed,
        )
        return self._stack.enter_context(mocks.start(self.settings.home, options=options)).address

    @cached_property
    def parser_service(self) -> Service:
        """The paid parser's address and key."""
        secrets = self.settings.secrets
        if self.settings.parser.service == "mock":
            return Service("mock", self.mocks, MOCK_KEY)
        return self._real(secrets.llama_cloud_base_url, secrets.llama_cloud_api_key, "LLAMA_CLOUD_API_KEY")

    @cached_property
    def embedder_service(self) -> Service:
        """The embedder's address and key."""
        secrets = self.settings.secrets
        if self.settings.embedder.service == "mock":
            return Service("mock", f"{self.mocks}/v1", MOCK_KEY)
        return self._real(secrets.openai_base_url, secrets.openai_api_key, "OPENAI_API_KEY")

    def _real(self, base_url: Secret | None, api_key: Secret | None, name: str) -> Service:
        from docproc.http import is_mock

        if api_key is None:
            raise missing(name, self.settings)
        # An address of one's own may be a mock all the same: it says so itself.
        kind = "mock" if base_url and is_mock(base_url) else "real"
        return Service(kind, base_url, api_key)

    @cached_property
    def parser(self) -> Parser:
        """The paid parser."""
        from docproc.parsers import open_parser

        service = self.parser_service
        return open_parser(self.settings, base_url=service.base_url, api_key=service.api_key)

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder."""
        from docproc.embedders import open_embedder

        service = self.embedder_service
        embedder = open_embedder(self.settings, base_url=service.base_url, api_key=service.api_key)
        self._stack.callback(embedder.close)
        return embedder

    @property
    def embedder_limits(self) -> Limits:
        """The embedder's rate limit, which all processes share."""
        from docproc.limits import Limits

        told = self.settings.embedder
        name = f"openai.{told.model}"
        limits = self.store.rate_limits
        return Limits(limits, name, requests=told.requests_per_minute, tokens=told.tokens_per_minute)

    def refuse_mixing(self) -> None:
        """Records with the first job whether the services are mocks or real. Raises ConfigError for the other kind."""
        self.store.catalogue.record_providers(parser=self.parser_service.kind, embedder=self.embedder_service.kind)

    # ── work ────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def target(self) -> Target:
        """What jobs made now are to become."""
        settings = self.settings
        version = embed_version(settings.embedder.dimensions)
        return Target(settings.user, settings.chunker.name, settings.embedder.model, version)

    def stages(self, commands: Sequence[Command]) -> list[Stage]:
        """The stages of ``commands``, each with what it needs and nothing else."""
        from docproc.stages.chunk import ChunkStage
        from docproc.stages.embed import EmbedStage
        from docproc.stages.parse import ParseStage
        from docproc.stages.validate import ValidateStage

        settings, store = self.settings, self.store
        made: list[Stage] = []
        for command in commands:
            match command:
                case Command.PARSE:
                    made.append(ParseStage(store.parse_calls, self.storage, self.parser, settings.parser))
                case Command.VALIDATE:
                    made.append(ValidateStage(store.parse_calls, self.storage, settings.validate))
                case Command.CHUNK:
                    made.append(ChunkStage(self.storage, settings.runner.cpu_threads))
                case Command.EMBED:
                    made.append(EmbedStage(store.vectors, self.embedder, self.embedder_limits, settings.embedder))
        return made


def missing(name: str, settings: Settings) -> ConfigError:
    """The error for a variable that the profile needs and the environment does not have."""
    return ConfigError(
        "config.missing",
        f"{name} is not set",
        why=f"the profile {settings.profile} needs it",
        try_=f"set {name} in the environment, or use the profile local, which needs no key and no server",
    )
