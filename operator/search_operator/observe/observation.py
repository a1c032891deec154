"""What is known about one index at one moment: frozen, complete, and free of secrets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from search_plane.release.record import ReleaseRecord, ReleaseSnapshot
from search_plane.release.report import JobProgress, JobReport

from search_operator.api.index import SemanticSearchIndex

Object = dict[str, Any]
ChildKey = tuple[str, str]
"""(kind, name) of a child in the index's own namespace."""


@dataclass(frozen=True)
class Problem:
    """Something that stops progress: a CamelCase reason, a sentence with the remedy, and whether a person must act."""

    reason: str
    message: str
    needs_a_person: bool = True


@dataclass(frozen=True)
class CollectionView:
    """One collection of this index in Milvus. `rows` is a strong count, None while it is not loaded."""

    name: str
    record: ReleaseRecord
    indexed: bool
    index_finished: bool
    pending_rows: int
    loaded: bool
    loading: bool
    replicas: int
    rows: int | None


@dataclass(frozen=True)
class MilvusView:
    """Milvus as this index sees it; after a problem nothing else in here is known."""

    problem: Problem | None = None
    collections: tuple[CollectionView, ...] = ()
    alias_target: str = ""

    @property
    def known(self) -> bool:
        """Whether Milvus answered, so that an absent collection is really absent."""
        return self.problem is None

    def collection(self, name: str) -> CollectionView | None:
        """The collection of that physical name, if it is one of this index's."""
        return next((c for c in self.collections if c.name == name), None)


@dataclass(frozen=True)
class CatalogueView:
    """The catalogue as this index sees it; `documents` is what the filter leaves, None when unknown."""

    problem: Problem | None = None
    documents: int | None = None


@dataclass(frozen=True)
class PodView:
    """One pod of a child workload, with what is worth telling of it."""

    name: str
    component: str
    release: str
    job: str
    phase: str
    ip: str
    ready: bool
    unschedulable: str
    waiting_reason: str
    waiting_message: str
    finished_at: str
    report: JobReport | None


@dataclass(frozen=True)
class JobView:
    """A build or refresh Job: where it stands, and what its newest pod says."""

    name: str
    release: str
    component: Literal["build", "refresh"]
    uid: str
    started_at: str
    finished_at: str
    succeeded: bool
    failed: bool
    progress: JobProgress | None
    report: JobReport | None


@dataclass(frozen=True)
class Observation:
    """All that plan() and status() may look at. `now` is timezone-aware UTC."""

    now: datetime
    index: SemanticSearchIndex
    children: Mapping[ChildKey, Object] = field(default_factory=dict)
    pods: tuple[PodView, ...] = ()
    jobs: tuple[JobView, ...] = ()
    snapshot: ReleaseSnapshot | None = None
    secret_problem: Problem | None = None
    milvus: MilvusView = MilvusView()
    catalogue: CatalogueView = CatalogueView()

    def child(self, kind: str, name: str) -> Object | None:
        """The live child, if it exists."""
        return self.children.get((kind, name))
