"""Gates: one named check each, pure, with value and threshold. What can't be evaluated is not passed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search_operator.observe.observation import CollectionView, JobView


@dataclass(frozen=True)
class Gate:
    """The outcome of one check of a candidate release."""

    name: str
    result: Literal["Passed", "Failed", "Pending"]
    value: str
    threshold: str
    message: str


def evaluate(collection: CollectionView | None, build: JobView | None, replicas: int) -> tuple[Gate, ...]:
    """All gates of a candidate, in the order in which a person would ask."""
    return (
        id_sets_equal(build),
        rows_loaded(collection, build),
        index_finished(collection),
        replicas_loaded(collection, replicas),
    )


def passed(gates: Sequence[Gate]) -> bool:
    """Whether a candidate may become active."""
    return all(gate.result == "Passed" for gate in gates)


def id_sets_equal(build: JobView | None) -> Gate:
    """Catalogue and collection hold the same IDs with the same text, by the build's own comparison."""
    report = build.report if build and build.succeeded else None
    if report is None:
        return Gate("IdSetsEqual", "Pending", "", "equal", "the build has not reported yet")
    if not report.id_sets_equal:
        return Gate("IdSetsEqual", "Failed", "different", "equal", "the build ended with different ID sets")
    return Gate("IdSetsEqual", "Passed", "equal", "equal", "")


def rows_loaded(collection: CollectionView | None, build: JobView | None) -> Gate:
    """A strong count sees every row that the build wrote."""
    report = build.report if build and build.succeeded else None
    if report is None or collection is None or collection.rows is None:
        return Gate("RowsLoaded", "Pending", "", "", "the rows can't be counted yet")
    result: Literal["Passed", "Failed"] = "Passed" if collection.rows == report.rows else "Failed"
    message = (
        ""
        if result == "Passed"
        else f"Milvus counts {collection.rows:,} rows, the build wrote {report.rows:,}"
    )
    return Gate("RowsLoaded", result, str(collection.rows), str(report.rows), message)


def index_finished(collection: CollectionView | None) -> Gate:
    """The HNSW index is built and no sealed row waits for it, so that searches are not brute force."""
    if collection is None:
        return Gate("IndexFinished", "Pending", "", "0", "the collection is not there yet")
    if not collection.index_finished:
        message = f"{collection.pending_rows:,} rows wait for the index"
        return Gate("IndexFinished", "Pending", str(collection.pending_rows), "0", message)
    return Gate("IndexFinished", "Passed", "0", "0", "")


def replicas_loaded(collection: CollectionView | None, replicas: int) -> Gate:
    """The collection is in memory as many times as asked for."""
    seen = collection.replicas if collection and collection.loaded else 0
    if seen != replicas:
        return Gate(
            "ReplicasLoaded", "Pending", str(seen), str(replicas), f"{seen} of {replicas} replicas are loaded"
        )
    return Gate("ReplicasLoaded", "Passed", str(seen), str(replicas), "")
