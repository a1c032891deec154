"""What the stores said a moment ago, for passes that only wait for the gateways' word."""

from dataclasses import dataclass, field

from search_operator.observe.cache import IndexKey
from search_operator.observe.observation import CatalogueView, MilvusView

# A switch looks at its gateways twice a second; asking Milvus for everything as often is in its queries' way.
HELD_SECONDS = 3.0


@dataclass(frozen=True)
class Stores:
    """What both stores said at `at` (time.monotonic()), to a spec of that generation."""

    at: float
    generation: int
    milvus: MilvusView
    catalogue: CatalogueView


@dataclass
class RecentStores:
    """The stores' last word on each index, and for which it is held. Only the event loop touches it."""

    _last: dict[IndexKey, Stores] = field(default_factory=dict)
    _held: set[IndexKey] = field(default_factory=set)

    def get(self, key: IndexKey, generation: int, now: float) -> Stores | None:
        """What was said no longer than HELD_SECONDS ago to the same spec, where it is held."""
        last = self._last.get(key) if key in self._held else None
        if last is None or last.generation != generation or now - last.at > HELD_SECONDS:
            return None
        return last

    def note(self, key: IndexKey, said: Stores) -> None:
        """The stores' word of this pass; one with a problem is never held."""
        if said.milvus.problem or said.catalogue.problem:
            self._last.pop(key, None)
        else:
            self._last[key] = said

    def hold(self, key: IndexKey) -> None:
        """The last word is enough for the passes that come at once."""
        self._held.add(key)

    def forget(self, key: IndexKey) -> None:
        """The next pass asks anew."""
        self._held.discard(key)
        self._last.pop(key, None)
