"""Made-up people who search the sample catalogue, logged by the gateway's own search log: `--help` below.

What they click is decided by the catalogue's labels. How good each way of searching is is set here, so that a report
has a truth to find: nothing in it says how good the real ones are.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import click
import orjson
from search_plane.gateway.answer import Answer, Hit, Timings
from search_plane.gateway.answer import Path as AnswerPath
from search_plane.gateway.experiment import assigned
from search_plane.gateway.search_log import Click, Event, SearchLog
from search_plane.release.policy import ExperimentPolicy

from sample_catalogue import PriceBand, Product, generate
from sample_catalogue.words import wording

MONDAY = datetime(2026, 11, 16, tzinfo=UTC)
# What people write first, and what they try when that finds nothing that they want.
SLANG: Mapping[str, str] = {"白菜价": "便宜", "土豪专属": "高端", "亏本清仓": "便宜", "不差钱首选": "高端"}
_PAGE = 10


@dataclass(frozen=True, slots=True)
class Quality:
    """How well one arm searches: how likely a hit is what was wanted, and how often nothing is found.

    `slang` is what is left of `relevant` for a word that the arm does not know.
    """

    relevant: float
    empty: float = 0.01
    slang: float = 1.0


EQUAL: Mapping[str, Quality] = {"fused": Quality(0.4, 0.02), "keyword": Quality(0.4, 0.02)}
# The planted truth of the documentation's example.
BETTER: Mapping[str, Quality] = {"fused": Quality(0.46, 0.005, 0.25), "keyword": Quality(0.38, 0.05, 0.05)}


@dataclass(frozen=True, slots=True)
class Shop:
    """What can be wanted: products by kind and price band."""

    wanted: Mapping[tuple[str, PriceBand], Sequence[Product]]
    others: Mapping[str, Sequence[Product]]
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, products: Sequence[Product]) -> Shop:
        """Kinds with at least four products in each of the budget and the premium band."""
        wanted: dict[tuple[str, PriceBand], list[Product]] = defaultdict(list)
        for product in products:
            wanted[product.labels.product_type, product.labels.price_band].append(product)
        kinds = sorted(
            kind
            for kind in {kind for kind, _ in wanted}
            if min(len(wanted[kind, band]) for band in (PriceBand.BUDGET, PriceBand.PREMIUM)) >= 4
        )
        others = {kind: [p for p in products if p.labels.product_type != kind] for kind in kinds}
        return cls(dict(wanted), others, tuple(kinds))


@dataclass
class _Kept:
    """A sink that keeps."""

    events: list[Event] = field(default_factory=list)

    async def write(self, events: Sequence[Event]) -> int:
        self.events += events
        return 0

    async def close(self) -> None:
        """Nothing to close."""


class _Traffic:
    """One simulated log."""

    def __init__(
        self, shop: Shop, quality: Mapping[str, Quality], policy: ExperimentPolicy, seed: int
    ) -> None:
        self._shop = shop
        self._quality = quality
        self._policy = policy
        self._draw = random.Random(seed)
        self._kept = _Kept()
        self._now = MONDAY
        self._log = SearchLog(self._kept, "a salt", capacity=10**9, now=lambda: self._now)
        self._count = 0

    def events(self, users: int, days: float) -> list[Event]:
        """The log's events in the order of their times."""
        for number in range(users):
            self._user(f"user-{number}", days)
        asyncio.run(self._log.close())
        return sorted(self._kept.events, key=lambda event: str(event["@timestamp"]))

    def _user(self, key: str, days: float) -> None:
        keen = self._draw.betavariate(4, 4) * 1.4
        # A few search very much.
        searches = min(60, 1 + int(self._draw.paretovariate(1.3)))
        for _ in range(searches):
            self._now = MONDAY + timedelta(days=self._draw.uniform(0, days))
            kind = self._shop.kinds[min(int(self._draw.expovariate(0.25)), len(self._shop.kinds) - 1)]
            band = self._draw.choice([PriceBand.BUDGET, PriceBand.PREMIUM])
            known = [word for word in wording().bands[band].words if word not in SLANG][:4]
            slang = [word for word, plain in SLANG.items() if plain in known]
            if self._draw.random() < 0.35 and slang:
                word = self._draw.choice(slang)
                if (
                    not self._search(key, keen, f"{word}的{kind}", kind, band, True)
                    and self._draw.random() < 0.7
                ):
                    self._now += timedelta(seconds=self._draw.uniform(4, 60))
                    self._search(key, keen, f"{SLANG[word]}的{kind}", kind, band, False)
            else:
                self._search(key, keen, f"{self._draw.choice(known)}的{kind}", kind, band, False)

    def _search(self, key: str, keen: float, query: str, kind: str, band: PriceBand, slang: bool) -> bool:
        """Searches, looks and maybe clicks; whether it clicked."""
        assignment = assigned(key, self._policy)
        quality = self._quality[assignment.arm]
        chance = quality.relevant * (quality.slang if slang else 1.0)
        wanted = list(self._shop.wanted[kind, band])
        self._draw.shuffle(wanted)
        hits: list[Product] = []
        if self._draw.random() >= quality.empty:
            others = self._draw.sample(self._shop.others[kind], _PAGE)
            while len(hits) < _PAGE:
                hits.append(wanted.pop() if wanted and self._draw.random() < chance else others.pop())
        self._count += 1
        search_id = f"s{self._count}"
        path: AnswerPath = "keyword" if assignment.arm == "keyword" else "semantic"
        right = [product in self._shop.wanted[kind, band] for product in hits]
        # Better answers are answers that the engine is surer of, on the whole.
        top = 0.3 + 0.4 * sum(right[:3]) / 3 + self._draw.uniform(0, 0.1)
        answer = Answer(
            query=query, release="r-1", fingerprint="sha256:0", path=path, degraded=[],
            hits=[Hit(id=p.sku, score=top - 0.02 * place, rank=place + 1) for place, p in enumerate(hits)],
            total=len(hits), dropped=0, timings_ms=Timings(embed=5, vector=5, join=5, total=15),
        )  # fmt: skip
        self._log.exposure(answer, key, search_id=search_id, mode=assignment.arm, assignment=assignment)
        clicked = False
        for place, good in enumerate(right):
            if self._draw.random() < (keen * 0.5 if good else 0.015):
                answered, self._now = self._now, self._now + timedelta(seconds=2 + 2 * place)
                self._log.click(Click(search_id=search_id, id=hits[place].sku, rank=place + 1))
                self._now = answered
                clicked = True
                if self._draw.random() < 0.7:
                    break
            if self._draw.random() < 0.18:
                break
        return clicked


@cache
def _sample_shop() -> Shop:
    return Shop.of(list(generate(1500)))


def traffic(
    users: int,
    quality: Mapping[str, Quality],
    *,
    seed: int = 7,
    days: float = 7.0,
    policy: ExperimentPolicy | None = None,
    products: Sequence[Product] | None = None,
) -> list[Event]:
    """The search log of so many people; each searches once or, a few of them, up to sixty times.

    Arms of `policy` are keys of `quality`.
    """
    shop = Shop.of(products) if products is not None else _sample_shop()
    return _Traffic(shop, quality, policy or ExperimentPolicy(name="hybrid"), seed).events(users, days)


def lines(events: Sequence[Event]) -> Iterator[bytes]:
    """As the gateway writes them."""
    for event in events:
        yield orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


@click.command(help="Write the search log of made-up people who search the sample catalogue.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option("--users", type=click.IntRange(min=1), default=4000, show_default=True)
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--null", is_flag=True, help="Both arms are equally good.")
def main(out: Path, users: int, seed: int, null: bool) -> None:
    """See the command's help."""
    out.write_bytes(b"".join(lines(traffic(users, EQUAL if null else BETTER, seed=seed))))


if __name__ == "__main__":
    main(prog_name="python -m tests.testbed.search_traffic")
