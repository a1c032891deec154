"""Which release plays which part, and which part comes next: from the book and what is observed to the next book.

What is decided goes into the book before anything follows from it, so that a crash at any point loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from search_plane.release.record import ROWS_WITH_FIELDS, ReleaseRecord, ReleaseSnapshot, alias_name

from search_operator.api.derive import desired_release, encoder_identity, encoder_source, hnsw_index
from search_operator.api.index import SemanticSearchIndex
from search_operator.decide.capacity import Shortage
from search_operator.decide.release import (
    Release,
    State,
    candidate_release,
    gateways_on,
    plain_release,
)
from search_operator.decide.schedule import rebuild_due, rfc3339
from search_operator.decide.second_release import shortages_of
from search_operator.decide.transitions import failure_in_force, next_book
from search_operator.observe.book import Book, FailedRelease, Held
from search_operator.observe.observation import Observation


@dataclass(frozen=True)
class Rollout:
    """The releases in their parts as the book has them, and `decided`: the book as it should be from now on.

    `focus` is what there is to tell about: the release that answers, else the one on its way. `wanted` is the release
    that the spec asks for; `failure` why it is not tried; `unknown_target` is a
    `rollout.rollbackTo` that names no retained release.
    """

    book: Book
    decided: Book
    wanted: ReleaseRecord
    active: Release | None
    candidate: Release | None
    previous: Release | None
    retiring: tuple[Release, ...]
    focus: Release
    shortages: tuple[Shortage, ...] = ()
    failure: FailedRelease | None = None
    unknown_target: str = ""

    @property
    def encoders(self) -> int:
        """Encoders that are wanted in all fleets: the bill is for all of them."""
        beside = [r for r in (self.candidate, self.previous) if r and r.state is not State.PENDING]
        fleets = {r.record.encoder.fingerprint(): r.encoders_desired for r in (*beside, self.focus)}
        return sum(fleets.values())

    @property
    def announced(self) -> Release | None:
        """The candidate that gateways shall make ready beside the active release."""
        candidate = self.candidate if self.active else None
        return candidate if candidate and candidate.state is State.SWITCHING else None


def desired_record(index: SemanticSearchIndex, rebuild: str = "") -> ReleaseRecord:
    """The release that the spec asks for."""
    milvus = index.spec.vector_store.milvus
    return ReleaseRecord(
        namespace=index.namespace,
        index=index.name,
        release=desired_release(index.spec, rebuild),
        encoder=encoder_identity(index.spec),
        hnsw=hnsw_index(index.spec),
        shards=milvus.shards,
        replicas=milvus.replicas,
        rebuild=rebuild,
        source=encoder_source(index.spec),
        owner=index.uid,
        row_schema=ROWS_WITH_FIELDS,
    )


def rollout(observation: Observation) -> Rollout:
    """Everything that plan and status need to know about the releases of this index."""
    book = _recovered(observation)
    wanted = wanted_record(observation, book)
    shortages = shortages_of(observation, book)
    candidate = candidate_release(observation, book, book.candidate, shortages) if book.candidate else None
    active = plain_release(observation, book.active.record, State.ACTIVE) if book.active else None
    decided = book
    # While nobody can tell who was active, nothing may be concluded from an empty book.
    if not observation.index.spec.paused and not pointer_is_lost(observation):
        decided = next_book(observation, book, candidate, wanted)
    return Rollout(
        book=book,
        decided=decided,
        wanted=wanted,
        active=active,
        candidate=candidate,
        focus=active or candidate or plain_release(observation, wanted, State.PENDING),
        previous=plain_release(observation, book.previous.record, State.PREVIOUS) if book.previous else None,
        retiring=tuple(_retiring(observation, record) for record in book.retiring),
        shortages=shortages,
        failure=failure_in_force(observation, book, wanted.release),
        unknown_target=_unknown_target(observation.index, book),
    )


def wanted_record(observation: Observation, book: Book) -> ReleaseRecord:
    """The release that the spec asks for: one that is held already, a new one, or a full rebuild that is due."""
    index = observation.index
    plain = desired_record(index)
    like = [
        held for held in (book.candidate, book.active, book.previous) if held and _alike(held.record, plain)
    ]
    if not like:
        return plain
    due = rebuild_due(index, max(held.since for held in like), observation.now) if book.active else None
    return desired_record(index, rfc3339(due) if due else like[0].record.rebuild)


def _recovered(observation: Observation) -> Book:
    """The book as the pointer has it, or made anew when the pointer is lost.

    The alias is moved last of all, so what it names was active. It counts only when this index's own status agrees:
    data that was retained from an earlier index is caught up first.
    """
    book, index = observation.book, observation.index
    if book == Book() and observation.snapshot is not None:
        return Book(active=Held(record=_record_of(observation, observation.snapshot), since=observation.now))
    if book != Book() or not observation.milvus.known:
        return book
    seen = observation.milvus.collection(observation.milvus.alias_target)
    if seen is None or seen.record.release != index.active_release:
        return book
    told: Mapping[str, Any] = next(
        (r for r in index.status.get("releases", ()) if r.get("role") == "Previous"), {}
    )
    kept = next((c for c in observation.milvus.collections if c.record.release == told.get("name")), None)
    until = told.get("retainedUntil")
    return Book(
        active=Held(record=seen.record, since=observation.now),
        previous=Held(record=kept.record, since=observation.now, until=datetime.fromisoformat(until))
        if kept and until
        else None,
    )


def _record_of(observation: Observation, snapshot: ReleaseSnapshot) -> ReleaseRecord:
    """The record behind a snapshot whose book is lost: the collection's own, else what the spec and it make likely."""
    seen = observation.milvus.collection(snapshot.milvus.collection)
    if seen:
        return seen.record
    update = {"release": snapshot.release, "encoder": snapshot.encoder}
    return desired_record(observation.index).model_copy(update=update)


def pointer_is_lost(observation: Observation) -> bool:
    """Nobody can tell now which release was active: the pointer is gone, and Milvus, which knows, does not answer."""
    empty = observation.book == Book() and observation.snapshot is None
    return empty and bool(observation.index.active_release) and not observation.milvus.known


def _retiring(observation: Observation, record: ReleaseRecord) -> Release:
    found = plain_release(observation, record, State.RETIRING)
    holders = gateways_on(observation, record.release)
    if holders:
        return replace(found, waiting_for=f"gateways to leave it: {', '.join(holders)}")
    if not observation.milvus.known:
        return replace(found, waiting_for="Milvus")
    index = observation.index
    if observation.milvus.alias_target == found.collection_name:
        alias = alias_name(index.namespace, index.name)
        return replace(found, waiting_for=f"alias {alias} to name another collection")
    return found


def _unknown_target(index: SemanticSearchIndex, book: Book) -> str:
    pinned = index.spec.rollout.rollback_to
    known = {h.release for h in (book.active, book.previous) if h}
    return pinned if pinned and book.active and pinned not in known else ""


def _alike(one: ReleaseRecord, other: ReleaseRecord) -> bool:
    """Whether two records are the same but for the rebuild."""
    return (one.encoder, one.hnsw, one.shards, one.replicas) == (
        other.encoder,
        other.hnsw,
        other.shards,
        other.replicas,
    )
