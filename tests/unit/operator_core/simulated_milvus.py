"""A fake Milvus, as far as a plan can see and change it, which refuses what would break a promise to queries."""

from collections.abc import Callable
from dataclasses import dataclass, field

from search_operator.decide.steps import (
    CreateCollection,
    CreateIndex,
    DropAlias,
    DropCollection,
    LoadCollection,
    PointAlias,
    Step,
)
from search_operator.observe.observation import CollectionView, MilvusView, Problem
from search_plane.release.record import ReleaseRecord

AWAY = Problem("Unreachable", "Milvus does not answer; check its pods", needs_a_person=False)


class StepFailed(Exception):
    """The world refuses a step, as a server would."""

    def __init__(self, reason: str, *, needs_a_person: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.needs_a_person = needs_a_person


@dataclass
class Collection:
    """What is true of one collection.

    `filled`: a build has put every row into it; `caught_up`: its ID set was equal to the catalogue's, and later
    refreshes keep it so; `encoder_seen`: its encoder was ready at some time since the collection was made.
    """

    record: ReleaseRecord
    indexed: bool = False
    finished: bool = False
    load: str = "NotLoad"
    replicas: int = 0
    rows: int = 0
    filled: bool = False
    caught_up: bool = False
    encoder_seen: bool = False
    was_active: bool = False

    @property
    def serves(self) -> bool:
        """Whether searches in it are answered."""
        return self.load == "Loaded"

    @property
    def fit_to_answer(self) -> bool:
        """Whether queries may be sent to it."""
        return self.serves and self.indexed and self.finished and self.caught_up and self.encoder_seen


@dataclass
class SimulatedMilvus:
    """The collections and the alias of one index. `problem`: why it does not answer now."""

    collections: dict[str, Collection] = field(default_factory=dict)
    alias: str = ""
    problem: Problem | None = None
    replicas_readable: bool = True

    def view(self) -> MilvusView:
        """What an observer sees."""
        if self.problem:
            return MilvusView(problem=self.problem)
        seen = tuple(self._view(name, found) for name, found in sorted(self.collections.items()))
        return MilvusView(collections=seen, alias_target=self.alias)

    def _view(self, name: str, found: Collection) -> CollectionView:
        return CollectionView(
            name=name,
            record=found.record,
            indexed=found.indexed,
            index_finished=found.finished,
            pending_rows=0 if found.finished else found.rows,
            loaded=found.serves,
            loading=found.load == "Loading",
            replicas=found.replicas if found.serves and self.replicas_readable else 0,
            rows=found.rows if found.serves else None,
        )

    def of_release(self, release: str) -> Collection | None:
        """The collection of a release, if there is one."""
        return next((c for c in self.collections.values() if c.record.release == release), None)

    def take(self, step: Step, protected: Callable[[str], str], *, deleting: bool) -> None:
        """Take a step. `protected` says of a release why queries need its collection; empty when none does."""
        if self.problem:
            raise StepFailed(self.problem.reason)
        match step:
            case CreateCollection(collection=name, record=record):
                assert name != self.alias, "an empty collection where the alias looks"
                why = protected(record.release)
                assert not why, f"an empty collection where queries look: {why}"
                if name in self.collections:
                    raise StepFailed("Refused")
                self.collections[name] = Collection(record, indexed=True, finished=True)
            case CreateIndex(collection=name):
                self.collections[name].indexed = True
            case LoadCollection(collection=name, replicas=replicas, release_first=first):
                self._load(name, replicas, first, protected)
            case PointAlias(collection=name):
                assert self.collections[name].was_active, "the alias names what was never active"
                self.alias = name
            case DropAlias():
                assert deleting or self.alias not in self.collections, "the alias is taken from live data"
                self.alias = ""
            case DropCollection(collection=name, release=release):
                assert self.collections[name].record.release == release
                why = "" if deleting else protected(release)
                assert not why, f"{name} is dropped: {why}"
                if name == self.alias:
                    raise StepFailed("DropRefused", needs_a_person=True)
                del self.collections[name]
            case _:
                raise AssertionError(f"{step} is no step for Milvus")

    def _load(self, name: str, replicas: int, first: bool, protected: Callable[[str], str]) -> None:
        found = self.collections[name]
        why = protected(found.record.release) if first else ""
        assert not why, f"{name} is released: {why}"
        assert found.indexed, "loaded without an index"
        assert replicas == found.record.replicas, "loaded in another number than the release has"
        if found.load != "NotLoad" and not first:
            raise StepFailed("Refused")
        found.load, found.replicas = "Loading", replicas

    # --- what happens by itself ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Loads and indexes come to their end."""
        for found in self.collections.values():
            found.finished = found.indexed
            if found.load == "Loading":
                found.load = "Loaded"

    def restart(self) -> None:
        """It comes back with nothing in memory."""
        for found in self.collections.values():
            found.load, found.replicas = "NotLoad", 0

    def reload_by_hand(self) -> None:
        """Somebody loads what nobody queries yet with a replica too many."""
        for found in self.collections.values():
            if found.serves and not found.was_active:
                found.replicas = found.record.replicas + 1
