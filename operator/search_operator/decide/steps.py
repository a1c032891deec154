"""The steps a plan is made of. Each says why it is taken; act/ knows how."""

from dataclasses import dataclass
from typing import Any

from search_plane.release.record import ReleaseRecord

FINALIZER = "semanticsearch.io/cleanup"


@dataclass(frozen=True)
class Step:
    """One change of the world, with its reason as a person would say it."""

    reason: str


@dataclass(frozen=True)
class AddFinalizer(Step):
    """Put our finalizer onto the index, before anything exists that only we can clean up."""


@dataclass(frozen=True)
class ReleaseFinalizer(Step):
    """Take our finalizer off: the index may go."""


@dataclass(frozen=True)
class ApplyObject(Step):
    """Server-side apply of a child."""

    body: dict[str, Any]

    @property
    def target(self) -> str:
        """`Kind/name`, for people."""
        return f"{self.body['kind']}/{self.body['metadata']['name']}"


@dataclass(frozen=True)
class DeleteObject(Step):
    """Delete exactly the child that was seen (by uid)."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class NameTaken(Step):
    """A child can't be made: somebody else's object has its name. Nothing is done but to say so."""

    target: str


@dataclass(frozen=True)
class NudgeGateway(Step):
    """Tell a gateway pod of the pointer's new content: an annotation makes its kubelet bring the file at once."""

    pod: str
    revision: str


@dataclass(frozen=True)
class KeepLedger(Step):
    """Write the ledger on top of exactly the one that was seen (by resourceVersion; empty for none)."""

    body: dict[str, Any]
    resource_version: str

    @property
    def target(self) -> str:
        """`Kind/name`, for people."""
        return f"{self.body['kind']}/{self.body['metadata']['name']}"


@dataclass(frozen=True)
class CreateCollection(Step):
    """Create a release's collection with its schema, and its HNSW index while it is still empty."""

    collection: str
    record: ReleaseRecord


@dataclass(frozen=True)
class CreateIndex(Step):
    """Create the HNSW index of a collection that lost it or never got it."""

    collection: str
    record: ReleaseRecord


@dataclass(frozen=True)
class LoadCollection(Step):
    """Load a collection that no query uses, with its final number of replicas; release it first if need be."""

    collection: str
    replicas: int
    release_first: bool


@dataclass(frozen=True)
class PointAlias(Step):
    """Point the people's alias to a collection and read it back."""

    alias: str
    collection: str


@dataclass(frozen=True)
class DropAlias(Step):
    """Remove the people's alias."""

    alias: str


@dataclass(frozen=True)
class DropCollection(Step):
    """Drop a collection of this index that no query uses; re-checked right before."""

    collection: str
    release: str


# What they change is to be looked at again at once.
MILVUS_STEPS = (CreateCollection, CreateIndex, LoadCollection, PointAlias, DropAlias, DropCollection)


@dataclass(frozen=True)
class Plan:
    """Ordered steps; empty at rest."""

    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A step that did not work, and the condition it speaks to."""

    step: Step
    reason: str
    message: str
    needs_a_person: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a plan: how many steps were done, and which failed."""

    done: int = 0
    failures: tuple[Failure, ...] = ()
