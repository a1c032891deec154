"""Learning the catalogue's words from Elasticsearch, again and again; nothing is written to it."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from search_plane.gateway.join import field_value
from search_plane.release.record import CatalogueTarget
from search_plane.stores.catalogue import CATALOGUE_ERRORS, CatalogueConnection, describe
from search_plane.understanding.learning import Title, lexicon_of
from search_plane.understanding.lexicon import EMPTY, Lexicon

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 600.0
# At most so much is read: pairs of brand and category, and titles drawn at random.
MOST_PAIRS: Final = 20_000
MOST_TITLES: Final = 5_000
_PAGE: Final = 1_000
_FIRST_RETRY_SECONDS: Final = 5.0
_SAMPLE_SEED: Final = 7

Pairs = Mapping[tuple[str, str], int]


class LexiconWatch:
    """Keeps `lexicon` true to the catalogue. Until it first learnt, and over an empty catalogue, it knows nothing."""

    def __init__(
        self,
        connection: CatalogueConnection,
        every_seconds: float = EVERY_SECONDS,
        timeout_seconds: float = 30.0,
    ) -> None:
        """`timeout_seconds`: per request. The connection stays the caller's, who closes it."""
        self.lexicon: Lexicon = EMPTY
        self.learnt = asyncio.Event()
        self.fault = ""
        self._connection = connection
        self._every = every_seconds
        self._timeout = timeout_seconds
        self._read: tuple[frozenset[tuple[str, str]], tuple[Title, ...]] | None = None

    async def run(self) -> None:
        """Learns every 10 minutes until cancelled, after a failure sooner; the last lexicon stays meanwhile."""
        retry = _FIRST_RETRY_SECONDS
        while True:
            try:
                await self.learn()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                self.fault = describe(error)
                if isinstance(error, CATALOGUE_ERRORS):
                    log.warning("the catalogue's words could not be read, the last ones stay: %s", self.fault)
                else:
                    log.exception("the catalogue's words could not be learnt, the last ones stay")
                await asyncio.sleep(min(retry, self._every))
                retry = min(2 * retry, self._every)
            else:
                retry = _FIRST_RETRY_SECONDS
                await asyncio.sleep(self._every)

    async def learn(self) -> None:
        """Reads and learns once. Raises one of CATALOGUE_ERRORS, and then keeps what was known.

        The mapping is asked for each time: whether brand and category can be counted, or only their keyword subfield.
        """
        target = self._connection.target
        countable = await self._countable()
        brand, category = (
            countable.get(field, "") for field in (target.fields.brand, target.fields.category)
        )
        pairs = await self._pairs(brand, category) if brand else {}
        titles = await self._titles()
        read = (frozenset(pairs), titles)
        if read != self._read:
            self.lexicon = await asyncio.to_thread(lexicon_of, pairs, titles)
            self._read = read
            log.info(
                "learnt the catalogue's words",
                extra={"brands": len(self.lexicon.brands), "pairs": len(pairs), "titles": len(titles)},
            )
        self.fault = ""
        self.learnt.set()

    async def _countable(self) -> dict[str, str]:
        """By field, itself or its subfield `keyword`, whichever the mapping lets be counted."""
        target = self._connection.target
        fields = (target.fields.brand, target.fields.category)
        asked = [name for field in fields for name in (field, f"{field}.keyword")]
        answer = await self._connection.call(
            lambda client: client.options(request_timeout=self._timeout).field_caps(
                index=target.index, fields=asked, filters="-metadata"
            )
        )
        return countable_fields(answer.body["fields"], fields)

    async def _pairs(self, brand: str, category: str) -> Pairs:
        """Products by (brand, category), the first 20,000 in the order of the brands' names."""
        target = self._connection.target
        sources: list[dict[str, Any]] = [{"brand": {"terms": {"field": brand}}}]
        if category:
            sources.append({"category": {"terms": {"field": category, "missing_bucket": True}}})
        pairs: dict[tuple[str, str], int] = {}
        after: Mapping[str, Any] | None = None
        while len(pairs) < MOST_PAIRS:
            composite: dict[str, Any] = {"size": _PAGE, "sources": sources} | (
                {"after": after} if after else {}
            )
            answer = await self._search(
                size=0, query=_existing(target), aggs={"pairs": {"composite": composite}}
            )
            found = answer["aggregations"]["pairs"]
            for bucket in found["buckets"]:
                key = (str(bucket["key"]["brand"]), str(bucket["key"].get("category") or ""))
                pairs[key] = bucket["doc_count"]
            after = found.get("after_key")
            if after is None:
                return pairs
        log.warning(
            "the catalogue has more pairs of brand and category than are read", extra={"read": len(pairs)}
        )
        return pairs

    async def _titles(self) -> tuple[Title, ...]:
        """Up to 5,000 products drawn at random, the same ones each time as long as they stay."""
        target = self._connection.target
        fields = target.fields
        drawn = {"seed": _SAMPLE_SEED, "field": "_seq_no"}
        answer = await self._search(
            size=MOST_TITLES,
            query={
                "function_score": {"query": _existing(target), "random_score": drawn, "boost_mode": "replace"}
            },
            source=[fields.title, fields.brand, fields.category],
            track_total_hits=False,
        )
        return tuple(
            Title(*(_said(hit["_source"], field) for field in (fields.title, fields.brand, fields.category)))
            for hit in answer["hits"]["hits"]
        )

    async def _search(self, **request: Any) -> Any:
        target = self._connection.target
        answer = await self._connection.call(
            lambda client: client.options(request_timeout=self._timeout).search(index=target.index, **request)
        )
        return answer.body


def countable_fields(capabilities: Mapping[str, Mapping[str, Any]], fields: Sequence[str]) -> dict[str, str]:
    """Of field_caps' answer, by field, the name that can be aggregated in every index. Pure."""
    found: dict[str, str] = {}
    for field in fields:
        for name in (field, f"{field}.keyword"):
            types = capabilities.get(name, {}).values()
            if types and all(one.get("aggregatable") for one in types):
                found[field] = name
                break
    return found


def _existing(target: CatalogueTarget) -> dict[str, Any]:
    """The products that exist for search."""
    return {"query_string": {"query": target.filter}} if target.filter else {"match_all": {}}


def _said(source: Mapping[str, Any], field: str) -> str:
    """A field's text; of several values the first."""
    value = field_value(source, field)
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, str) else ""
