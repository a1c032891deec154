"""What a candidate needs beside the active release, and what of it is lacking."""

from dataclasses import replace

from search_plane.release.record import ReleaseRecord

from search_operator.decide.capacity import Fleet, Need, Shortage, fleets, need, room
from search_operator.decide.release import collection_of
from search_operator.observe.book import Book
from search_operator.observe.observation import Observation
from search_operator.render.encoder import encoder_name
from search_operator.render.reranker import devices_of, reranker_of


def shortages_of(observation: Observation, book: Book) -> tuple[Shortage, ...]:
    """What is lacking for the candidate beside the active release; nothing without both."""
    wanted = second_need(observation, book)
    return room(observation.index.spec, observation.capacity, *wanted) if wanted else ()


def second_need(observation: Observation, book: Book) -> tuple[Need, Fleet | None] | None:
    """What the candidate still lacks, and its fleet (None: it shares the active release's encoders)."""
    active, candidate = book.active, book.candidate
    if active is None or candidate is None:
        return None
    spec, fingerprint = observation.index.spec, candidate.record.encoder.fingerprint()
    shared = fingerprint == active.record.encoder.fingerprint()
    fleet = None if shared else fleets(spec, fleet_order(book))[fingerprint]
    lacking = need(
        spec,
        candidate.record,
        fleet,
        rows=_rows(observation, active.record),
        placed=_placed(observation, candidate.record),
        loaded=_rows(observation, candidate.record),
    )
    return replace(lacking, rerankers=_rerankers_without_node(observation)), fleet


def _rerankers_without_node(observation: Observation) -> int:
    """Devices that re-rankers wait for."""
    reranker = reranker_of(observation.index)
    if reranker is None:
        return 0
    waiting = sum(pod.component == "reranker" and bool(pod.unschedulable) for pod in observation.pods)
    return waiting * devices_of(observation.index, reranker)


def fleet_order(book: Book) -> list[str]:
    """The fingerprints that need encoders, the active one (else the candidate's) first."""
    return list(dict.fromkeys(held.record.encoder.fingerprint() for held in book.held))


def _placed(observation: Observation, record: ReleaseRecord) -> int:
    """Encoder pods that have a node: those hold their devices, ready or not."""
    fleet = encoder_name(observation.index.name, record.encoder)
    return sum(
        pod.component == "encoder" and pod.name.startswith(fleet) and not pod.unschedulable
        for pod in observation.pods
    )


def _rows(observation: Observation, record: ReleaseRecord) -> int:
    seen = collection_of(observation, record)
    return (seen.rows or 0) if seen else 0
