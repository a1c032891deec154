"""Which release plays which part, and which part comes next: from the book and what is observed to the next book.

What is decided goes into the book before anything follows from it, so that a crash at any point loses nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from search_plane.release.record import ReleaseRecord, ReleaseSnapshot, alias_name, collection_name

from search_operator.api.derive import desired_release, encoder_identity, encoder_source, hnsw_index
from search_operator.api.index import SemanticSearchIndex
from search_operator.api.values import duration_of
from search_operator.decide.capacity import Shortage
from search_operator.decide.release import (
    ATTEMPTS,
    DEADLINES,
    Release,
    State,
    candidate_release,
    gateways_on,
    plain_release,
    told_condition,
    told_release,
)
from search_operator.decide.schedule import rebuild_due, requested_at, rfc3339
from search_operator.decide.second_release import shortages_of
from search_operator.decide.watch import breach
from search_operator.observe.book import FAILURES_KEPT, Book, FailedRelease, Held
from search_operator.observe.observation import CollectionView, Observation

# Two readings this far apart must agree before an active release's missing collection is believed.
CONFIRM_GONE = timedelta(seconds=10)
COLLECTION_GONE = "CollectionGone"


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
    )


def rollout(observation: Observation) -> Rollout:
    """Everything that plan and status need to know about the releases of this index."""
    book = _recovered(observation)
    wanted = wanted_record(observation, book)
    shortages = shortages_of(observation, book)
    candidate = candidate_release(observation, book, book.candidate, shortages) if book.candidate else None
    active = plain_release(observation, book.active.record, State.ACTIVE) if book.active else None
    decided = book
    if not observation.index.spec.paused:
        decided = _decided(observation, book, candidate, wanted)
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
        failure=_failure_in_force(observation, book, wanted.release),
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


def active_collection_is_missing(observation: Observation, book: Book) -> bool:
    """Milvus answers, but without the collection that queries run on."""
    if book.active is None or not observation.milvus.known:
        return False
    return _collection(observation, book.active.record) is None


def gone_is_confirmed(observation: Observation) -> bool:
    """Whether the status has been saying for long enough that the active collection is gone."""
    told = told_condition(observation.index, "VectorStoreReady")
    # Unknown is said for this reason only, so that its time is that of the first answer without the collection.
    if not told or (told.get("status"), told.get("reason")) != ("Unknown", COLLECTION_GONE):
        return False
    since = datetime.fromisoformat(told["lastTransitionTime"])
    return observation.now - since >= CONFIRM_GONE


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


def _decided(observation: Observation, book: Book, candidate: Release | None, wanted: ReleaseRecord) -> Book:
    if active_collection_is_missing(observation, book):
        return _lost(observation, book) if gone_is_confirmed(observation) else book
    decided = _watched(observation, _expired(observation, book))
    decided = _aimed(observation, decided, wanted)
    # What was found out about the candidate holds only while it still is the candidate.
    if candidate and decided.candidate == book.candidate:
        decided = _moved(observation, decided, candidate)
    return _swept(observation, decided)


def _lost(observation: Observation, book: Book) -> Book:
    """The active collection is gone: the retained release answers if it can, else nothing does until a new build."""
    kept = book.previous
    seen = _collection(observation, kept.record) if kept else None
    if kept is None or seen is None or not seen.loaded:
        return book.model_copy(update={"active": None})
    active = Held(record=kept.record, since=observation.now, by="Loss")
    candidate = book.candidate if book.candidate and book.candidate.release != kept.release else None
    return book.model_copy(update={"active": active, "previous": None, "candidate": candidate})


def _expired(observation: Observation, book: Book) -> Book:
    """The previous release is let go when its time is over or its collection is gone, unless it is wanted again."""
    kept = book.previous
    if kept is None or kept.until is None:
        return book
    wanted_again = (
        observation.index.spec.rollout.rollback_to,
        book.candidate.release if book.candidate else None,
    )
    gone = observation.milvus.known and _collection(observation, kept.record) is None
    over = kept.until <= observation.now and kept.release not in wanted_again
    return _retire(book.model_copy(update={"previous": None}), kept.record) if gone or over else book


def _watched(observation: Observation, book: Book) -> Book:
    """A switch whose answers break what the gates promised is noted as failed; going back follows from that."""
    active, kept = book.active, book.previous
    if active is None or kept is None or active.by != "Spec" or _broke_its_watch(book, active):
        return book
    broke = breach(observation, active.release, active.since)
    return _failed(book, active.release, observation.now, broke.reason, broke.message) if broke else book


def _aimed(observation: Observation, book: Book, wanted: ReleaseRecord) -> Book:
    """The candidate that there should be: nothing, the release to go back to, or the one that the spec asks for."""
    aim = _aim(observation, book, wanted)
    now = book.candidate
    if now and aim and (now.release, now.by) == (aim.release, aim.by):
        return book
    if now:
        book = _retire(book.model_copy(update={"candidate": None}), now.record)
    if aim is None:
        return book
    retiring = tuple(record for record in book.retiring if record.release != aim.release)
    return book.model_copy(update={"candidate": aim, "retiring": retiring})


def _aim(observation: Observation, book: Book, wanted: ReleaseRecord) -> Held | None:
    active, kept, now = book.active, book.previous, observation.now
    pinned = observation.index.spec.rollout.rollback_to
    if active and kept and _broke_its_watch(book, active):
        return Held(record=kept.record, since=now, by="Watch")
    if pinned and active:
        going_back = kept is not None and kept.release == pinned
        return Held(record=kept.record, since=now, by="Rollback") if kept and going_back else None
    if active and wanted.release == active.release:
        return None
    if active and _failure_in_force(observation, book, wanted.release):
        return None
    held = next((h.record for h in book.held if h.release == wanted.release), wanted)
    return Held(record=held, since=now)


def _broke_its_watch(book: Book, active: Held) -> bool:
    failure = book.failure_of(active.release)
    return active.by == "Spec" and failure is not None and failure.at >= active.since


def _failure_in_force(observation: Observation, book: Book, release: str) -> FailedRelease | None:
    """Why a release must not be tried; a request for a refresh that is later than the failure lifts it."""
    failure = book.failure_of(release)
    asked = requested_at(observation.index)
    return None if failure is None or (asked and asked > failure.at) else failure


def _moved(observation: Observation, book: Book, candidate: Release) -> Book:
    """The candidate takes over, or is given up, or stays where it is."""
    held = book.candidate
    assert held is not None
    if candidate.ready_to_commit:
        return _committed(observation, book, held)
    if book.active is None or held.by != "Spec":
        return book
    if why := _given_up(observation, held, candidate):
        reason, message = why
        book = _failed(book, held.release, observation.now, reason, message)
        return _retire(book.model_copy(update={"candidate": None}), held.record)
    return book


def _committed(observation: Observation, book: Book, held: Held) -> Book:
    """One write: the candidate is active, what it replaced is retained, what was retained before goes."""
    now, before = observation.now, book.active
    update: dict[str, object] = {
        "active": Held(record=held.record, since=now, by=held.by),
        "candidate": None,
    }
    displaced = book.previous
    if before:
        until = now + duration_of(observation.index.spec.rollout.retain)
        update["previous"] = Held(record=before.record, since=now, by=held.by, until=until)
    elif displaced and displaced.release == held.release:
        update["previous"] = None
    book = book.model_copy(update=update)
    return _retire(book, displaced.record) if displaced and before else book


def _given_up(observation: Observation, held: Held, candidate: Release) -> tuple[str, str] | None:
    """(reason, message) when the candidate has failed its gates often enough, or has been in one state too long."""
    tried = [
        job
        for job in observation.jobs
        if (job.component, job.release) == ("verify", held.release)
        and job.finished_at
        and datetime.fromisoformat(job.started_at) >= held.since.replace(microsecond=0)
    ]
    due_again = candidate.catchup is not None and candidate.attempt > candidate.catchup.attempt
    if len(tried) >= ATTEMPTS and due_again and candidate.gates_failed:
        said = "; ".join(f"{gate.name}: {gate.message}" for gate in candidate.gates_failed)
        return "GatesFailed", f"{said} ({len(tried)} attempts)"
    told = told_release(observation.index, held.release)
    limit = DEADLINES.get(candidate.state)
    if limit is None or told.get("stage") != candidate.state.value or "since" not in told:
        return None
    if observation.now - datetime.fromisoformat(told["since"]) <= limit:
        return None
    hours = limit.total_seconds() / 3600
    return "DeadlineExceeded", f"{candidate.state.value} for more than {hours:g} h: {candidate.waiting_for}"


def _swept(observation: Observation, book: Book) -> Book:
    """Releases that have gone wholly are forgotten; collections of this index that nobody knows are to go."""
    if not observation.milvus.known:
        return book
    held = {h.release for h in book.held}
    left = [r for r in book.retiring if r.release not in held and not _vanished(observation, r)]
    known = held | {record.release for record in left}
    stray = [
        seen.record
        for seen in observation.milvus.collections
        if seen.record.owner == observation.index.uid and seen.record.release not in known
    ]
    return book.model_copy(update={"retiring": (*left, *stray)})


def _vanished(observation: Observation, record: ReleaseRecord) -> bool:
    return _collection(observation, record) is None and not gateways_on(observation, record.release)


def _retire(book: Book, record: ReleaseRecord) -> Book:
    """The release is to go, unless it still has a part."""
    known = {h.release for h in book.held} | {r.release for r in book.retiring}
    return book if record.release in known else book.model_copy(update={"retiring": (*book.retiring, record)})


def _failed(book: Book, release: str, at: datetime, reason: str, message: str) -> Book:
    failure = FailedRelease(release=release, at=at, reason=reason, message=message)
    others = [f for f in book.failed if f.release != release]
    return book.model_copy(update={"failed": (*others, failure)[-FAILURES_KEPT:]})


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


def _collection(observation: Observation, record: ReleaseRecord) -> CollectionView | None:
    index = observation.index
    return observation.milvus.collection(collection_name(index.namespace, index.name, record.release))
