"""How the book changes: each arrow between the parts that a release plays, as a pure function from book to book."""

from datetime import datetime, timedelta

from search_plane.release.record import ReleaseRecord

from search_operator.api.values import duration_of
from search_operator.decide.release import (
    ATTEMPTS,
    DEADLINES,
    Release,
    begun_since,
    collection_of,
    gateways_on,
    told_condition,
    told_release,
)
from search_operator.decide.schedule import requested_at
from search_operator.decide.watch import breach, traffic_of
from search_operator.observe.book import FAILURES_KEPT, Book, FailedRelease, Held
from search_operator.observe.observation import Observation

# Two readings this far apart must agree before an active release's missing collection is believed.
CONFIRM_GONE = timedelta(seconds=10)
COLLECTION_GONE = "CollectionGone"


def next_book(observation: Observation, book: Book, candidate: Release | None, wanted: ReleaseRecord) -> Book:
    """The book as it should be from now on; the same one when nothing changes its part."""
    if active_collection_is_missing(observation, book):
        return _lost(observation, book) if gone_is_confirmed(observation) else book
    decided = _forgiven(_watched(observation, _expired(observation, book)), wanted)
    decided = _aimed(observation, decided, wanted)
    # What was found out about the candidate holds only while it still is the candidate.
    if candidate and decided.candidate == book.candidate:
        decided = _moved(observation, decided, candidate)
    return _swept(observation, decided)


def _forgiven(book: Book, wanted: ReleaseRecord) -> Book:
    """A failure counts as long as the release is asked for, or still answers; asked for anew, it may try anew."""
    concerned = {wanted.release, book.active.release if book.active else ""}
    left = tuple(failure for failure in book.failed if failure.release in concerned)
    return book if left == book.failed else book.model_copy(update={"failed": left})


def _lost(observation: Observation, book: Book) -> Book:
    """The active collection is gone: the retained release answers if it can, else nothing does until a new build."""
    kept = book.previous
    seen = collection_of(observation, kept.record) if kept else None
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
    gone = observation.milvus.known and collection_of(observation, kept.record) is None
    over = kept.until <= observation.now and kept.release not in wanted_again
    return _retire(book.model_copy(update={"previous": None}), kept.record) if gone or over else book


def _watched(observation: Observation, book: Book) -> Book:
    """A switch whose answers break what the gates promised is noted as failed; going back follows from that."""
    active, kept = book.active, book.previous
    if active is None or kept is None or active.by != "Spec" or _broke_its_watch(book, active):
        return book
    broke = breach(observation, active.release, active.since, kept.traffic)
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
    if active and failure_in_force(observation, book, wanted.release):
        return None
    held = next((h.record for h in book.held if h.release == wanted.release), wanted)
    return Held(record=held, since=now)


def _broke_its_watch(book: Book, active: Held) -> bool:
    failure = book.failure_of(active.release)
    return active.by == "Spec" and failure is not None and failure.at >= active.since


def failure_in_force(observation: Observation, book: Book, release: str) -> FailedRelease | None:
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
        seen = traffic_of(observation.gateways, before.release)
        update["previous"] = Held(record=before.record, since=now, by=held.by, until=until, traffic=seen)
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
        and begun_since(job, held.since)
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
    return collection_of(observation, record) is None and not gateways_on(observation, record.release)


def _retire(book: Book, record: ReleaseRecord) -> Book:
    """The release is to go, unless it still has a part."""
    known = {h.release for h in book.held} | {r.release for r in book.retiring}
    return book if record.release in known else book.model_copy(update={"retiring": (*book.retiring, record)})


def _failed(book: Book, release: str, at: datetime, reason: str, message: str) -> Book:
    failure = FailedRelease(release=release, at=at, reason=reason, message=message)
    others = [f for f in book.failed if f.release != release]
    return book.model_copy(update={"failed": (*others, failure)[-FAILURES_KEPT:]})


def active_collection_is_missing(observation: Observation, book: Book) -> bool:
    """Milvus answers, but without the collection that queries run on."""
    if book.active is None or not observation.milvus.known:
        return False
    return collection_of(observation, book.active.record) is None


def gone_is_confirmed(observation: Observation) -> bool:
    """Whether the status has been saying for long enough that the active collection is gone."""
    told = told_condition(observation.index, "VectorStoreReady")
    # Unknown is said for this reason only, so that its time is that of the first answer without the collection.
    if not told or (told.get("status"), told.get("reason")) != ("Unknown", COLLECTION_GONE):
        return False
    since = datetime.fromisoformat(told["lastTransitionTime"])
    return observation.now - since >= CONFIRM_GONE
