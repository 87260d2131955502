"""forget: everything of one document or one source goes at once, and what is left is counted."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import UUID

from docproc.cleanup.objects import delete_now, keys_of
from docproc.errors import ConfigError, GuardError
from docproc.postgres.forgetting import Forgetting, Meant
from docproc.postgres.objects import Objects
from docproc.postgres.sweeping import Sweeping
from docproc.storage import Storage, Stored, parsed_uri

if TYPE_CHECKING:
    from docproc.app import App


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What there was of ``documents``, and what is left: rows by table, stored objects, parses at the service."""

    documents: tuple[UUID, ...]
    found: Mapping[str, int]
    left: Mapping[str, int] = field(default_factory=dict)
    dry_run: bool = False

    @property
    def trouble(self) -> GuardError | None:
        """The error when something is left."""
        left = ", ".join(f"{count} {what}" for what, count in self.left.items() if count)
        if not left:
            return None
        why = "it came in again meanwhile, or the storage did not let go of it"
        return GuardError("cleanup.leftovers", f"there is still something of it: {left}", why=why)


def forget(app: App, name: str, *, source: bool, dry_run: bool) -> Forgotten:
    """Forgets the document that ``name``, an id, its beginning or a path, names; with ``source`` the source at a path.

    A source's documents go with it unless another source has them. Raises ConfigError when nothing, or more than one
    document, is named so, GuardError ``cleanup.in_flight`` while somebody works on it. What the parser raises leaves
    everything as it was.
    """
    began, forgetting = time.monotonic(), Forgetting(app.store.database)
    meant = _source(forgetting, app, name) if source else _document(app, name)
    external_ids = forgetting.external_ids(meant)
    found = {**_counted(forgetting, app.storage, meant), "parses at the service": len(external_ids)}
    if dry_run:
        return Forgotten(meant.documents, found, dry_run=True)
    forgetting.refuse_held(meant)
    for external_id in external_ids:  # first: afterwards nothing would know their names
        app.parser.delete(external_id)
    uris = [parsed_uri(meant.user, document) for document in meant.documents]
    _hand_on(forgetting, app.storage, meant, uris)
    forgetting.forget(meant, uris)
    sweeping = Sweeping(app.store.database, meant.user)
    sweeping.orphaned_vectors(dry_run=False, documents=meant.documents)
    sweeping.orphaned_chunks(dry_run=False, documents=meant.documents)
    # What was written since this began is an ingest's, whose job may be yet to come.
    old = [one for one in _objects(app.storage, meant) if one.age > time.monotonic() - began]
    delete_now(Objects(app.store.database), app.storage, old, meant.documents)
    left = {**_counted(forgetting, app.storage, meant), "parses at the service": len(forgetting.external_ids(meant))}
    return Forgotten(meant.documents, found, left)


def _source(forgetting: Forgetting, app: App, name: str) -> Meant:
    uri = os.path.abspath(name)  # noqa: PTH100 - as ingest names its sources
    own, shared = forgetting.documents_of(app.settings.user, uri)
    if not own and not shared:
        raise _unknown(name)
    return Meant(app.settings.user, tuple(own), uri)


def _document(app: App, name: str) -> Meant:
    user = app.settings.user
    jobs = app.store.reads.jobs_of(user, name, os.path.abspath(name))  # noqa: PTH100
    documents = {job["document_id"] for job in jobs}
    if not documents:
        try:
            documents = {UUID(name)}  # a forget that was killed halfway has left objects, and no job to name them
        except ValueError:
            raise _unknown(name) from None
    if len(documents) > 1:
        ids = ", ".join(sorted(map(str, documents)))
        raise ConfigError(
            "config.usage", f"{name} names {len(documents)} documents", why=ids, try_="name one by its id"
        )
    return Meant(user, tuple(documents))


def _unknown(name: str) -> ConfigError:
    return ConfigError("config.usage", f"no document {name}", try_="give its path, or the beginning of its id")


def _hand_on(forgetting: Forgetting, storage: Storage, meant: Meant, uris: list[str]) -> None:
    """Sees that documents whose parse says the same have it under their own id, where it is kept anyway."""
    for uri, own in forgetting.borrowed(meant, uris):
        for here, there in zip(keys_of(uri), keys_of(own), strict=True):
            if not storage.exists(there) and storage.exists(here):
                storage.write(there, storage.read(here))


def _counted(forgetting: Forgetting, storage: Storage, meant: Meant) -> dict[str, int]:
    return {**forgetting.traces(meant), "stored objects": len(_objects(storage, meant))}


def _objects(storage: Storage, meant: Meant) -> list[Stored]:
    folders = [f"{prefix}/{meant.user}/{document}" for prefix in ("raw", "parsed") for document in meant.documents]
    return [found for folder in folders for found in storage.objects(f"{folder}.")]
