"""Catalogue writes that go on during the switches: new titles, new products, deletions; all of it kept for the checker."""

import random
import threading
import time
from dataclasses import dataclass, field

from elasticsearch import Elasticsearch

from benchmarks.switch_log import sku_number
from sample_catalogue import generate

# Words that a shop adds to a title; what they say doesn't matter, only that the vector changes.
_ADDITIONS = ("新款", "2026款", "升级版", "限时特价", "官方正品", "礼盒装", "大容量", "家庭装")
_ENDS_WITHIN = 30.0


def embedded_text(document: dict[str, object]) -> str:
    """What `{brand} {title} {category}` makes of a sample document; written anew here, to share no code."""
    return " ".join(f"{document['brand']} {document['title']} {document['category']}".split())


@dataclass(frozen=True)
class Version:
    """A product's text from `since` on (time.monotonic() before it was written; -inf for the first load)."""

    product: int
    text: str
    since: float


@dataclass(frozen=True)
class Deletion:
    """A product that is deleted for good: between `asked` and `done` (time.monotonic())."""

    product: int
    asked: float
    done: float


@dataclass
class History:
    """Every text that a product ever had, and every deletion."""

    versions: list[Version] = field(default_factory=list)
    deletions: list[Deletion] = field(default_factory=list)


class CatalogueWriter:
    """One change every `period` seconds, in a thread, the same changes for the same seed."""

    def __init__(self, client: Elasticsearch, index: str, count: int, seed: int, period: float) -> None:
        """`index` holds `generate(count, seed)`."""
        self.history = History()
        self.error: Exception | None = None
        self._client, self._index, self._period = client, index, period
        self._seed, self._next = seed, count
        self._chance = random.Random(seed)
        self._live: dict[str, dict[str, object]] = {}
        for product in generate(count, seed):
            self._live[product.sku] = product.document()
            text = embedded_text(product.document())
            self.history.versions.append(Version(sku_number(product.sku), text, float("-inf")))
        self._names = list(self._live)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="catalogue writer", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> None:
        """Ends after the change that is being written; raises what stopped it before, if anything did."""
        self._stop.set()
        self._thread.join(_ENDS_WITHIN)
        if self.error is not None:
            raise self.error

    @property
    def live(self) -> set[str]:
        """The SKUs that the catalogue should hold now."""
        return set(self._live)

    def _run(self) -> None:
        while not self._stop.wait(self._period):
            try:
                self._change()
            except Exception as error:
                self.error = error
                raise

    def _change(self) -> None:
        draw = self._chance.random()
        if draw < 0.5:
            self._retitle()
        elif draw < 0.75:
            self._delete()
        else:
            self._add()

    def _retitle(self) -> None:
        sku = self._chance.choice(self._names)
        document = self._live[sku]
        title = f"{document['title']} {self._chance.choice(_ADDITIONS)}"
        self._write(sku, document | {"title": title})

    def _add(self) -> None:
        (product,) = generate(1, self._seed, self._next)
        self._next += 1
        self._names.append(product.sku)
        self._write(product.sku, product.document())

    def _write(self, sku: str, document: dict[str, object]) -> None:
        # Before the write, for a job may read it before the answer is here.
        self.history.versions.append(Version(sku_number(sku), embedded_text(document), time.monotonic()))
        self._client.index(index=self._index, id=sku, document=document)
        self._live[sku] = document

    def _delete(self) -> None:
        position = self._chance.randrange(len(self._names))
        self._names[position], self._names[-1] = self._names[-1], self._names[position]
        sku = self._names.pop()
        del self._live[sku]
        asked = time.monotonic()
        self._client.delete(index=self._index, id=sku)
        self.history.deletions.append(Deletion(sku_number(sku), asked, time.monotonic()))
