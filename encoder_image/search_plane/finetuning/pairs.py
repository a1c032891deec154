"""From click rows to pairs of a query and a product, with hard negatives. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from search_plane.finetuning.rows import Row, Skipped
from search_plane.gateway.faults import BadQuery
from search_plane.gateway.query import checked_text
from search_plane.jobs.rendering import Unusable, clean

Texts = Mapping[str, str | Unusable]


@dataclass(frozen=True, slots=True)
class Limits:
    """When counts say what a product is: the hard negative of the customer's logs has been shown often for little.

    `least_impressions` showings and at most `most_ctr` clicks a showing make a hard negative; any other product with
    a click is a positive. `negatives` is how many hard negatives a pair keeps at most.
    """

    least_impressions: int = 100
    most_ctr: float = 0.01
    negatives: int = 1


@dataclass(frozen=True, slots=True)
class Pair:
    """A query as the gateway asks it, the text of a product that was clicked for it, and of ones that were not."""

    query: str
    product: str
    negatives: tuple[str, ...] = ()

    @property
    def query_key(self) -> str:
        """Equal for queries that differ in case only."""
        return self.query.lower()


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was made of the rows. `negatives_left_out` counts hard negatives by why they are not used."""

    pairs: tuple[Pair, ...]
    rows: int
    skipped: tuple[Skipped, ...]
    negatives_left_out: Mapping[str, int]


@dataclass(slots=True)
class _Query:
    """What the log says of one query: `products` maps a clicked text to its own negatives; the rest are for all."""

    text: str
    products: dict[str, list[str]] = field(default_factory=dict)
    passed_over: dict[str, int] = field(default_factory=dict)
    places: list[str] = field(default_factory=list)


def made(rows: Iterable[Row | Skipped], texts: Texts, limits: Limits) -> Pairs:
    """The pairs in the order of their first rows; every row is used or among the skipped.

    `texts` maps the rows' ids to texts. Rows of the same query and product become one pair.
    """
    queries: dict[str, _Query] = {}
    skipped: list[Skipped] = []
    left_out: Counter[str] = Counter()
    count = 0
    for row in rows:
        count += 1
        if isinstance(row, Skipped):
            skipped.append(row)
            continue
        if (unusable := _take(row, texts, limits, queries, left_out)) is not None:
            skipped.append(unusable)
    pairs = []
    for query in queries.values():
        if not query.products:
            skipped += [Skipped(place, "no click for its query", query.text) for place in query.places]
        pairs += list(_pairs(query, limits, left_out))
    return Pairs(tuple(pairs), count, tuple(skipped), dict(left_out))


def _take(
    row: Row, texts: Texts, limits: Limits, queries: dict[str, _Query], left_out: Counter[str]
) -> Skipped | None:
    """Enter a row into its query, or say why not."""
    click = row.click
    try:
        asked = checked_text(click.query)
    except BadQuery as error:
        return Skipped(row.place, "the gateway refuses the query", str(error))
    product, reason = _text(click.product_id, click.product_text, texts)
    if product is None:
        return Skipped(row.place, reason, click.product_id or "")
    query = queries.setdefault(asked.lower(), _Query(asked))
    if click.impressions is not None and click.clicks is not None:
        if (
            click.impressions >= limits.least_impressions
            and click.clicks <= limits.most_ctr * click.impressions
        ):
            if product in query.passed_over:
                return Skipped(row.place, "repeated", f"{asked} / {product}")
            query.passed_over[product] = click.impressions
            query.places.append(row.place)
            return None
        if not click.clicks:
            return Skipped(row.place, "shown too seldom to tell", f"{click.impressions} impressions")
    repeated = product in query.products
    negatives = query.products.setdefault(product, [])
    fresh = 0
    for id, text in [
        *((id, None) for id in click.negative_ids),
        *((None, text) for text in click.negative_texts),
    ]:
        negative, reason = _text(id, text, texts)
        if negative is None:
            left_out[reason] += 1
        elif negative not in negatives:
            negatives.append(negative)
            fresh += 1
    # A repeated row that brings further negatives is used for those.
    return Skipped(row.place, "repeated", f"{asked} / {product}") if repeated and not fresh else None


def _text(id: str | None, text: str | None, texts: Texts) -> tuple[str | None, str]:
    """The cleaned text, or None and why there is none."""
    if id is not None:
        found = texts.get(id)
        if found is None:
            return None, "the product is not in the catalogue"
        if isinstance(found, Unusable):
            return None, f"the product can't be embedded: {found.reason}"
        return found, ""
    cleaned = clean(text or "")
    return (cleaned, "") if cleaned else (None, "the product's text is blank")


def _pairs(query: _Query, limits: Limits, left_out: Counter[str]) -> Iterator[Pair]:
    often_first = sorted(query.passed_over, key=lambda text: -query.passed_over[text])
    for product, own in query.products.items():
        offered = list(dict.fromkeys([*own, *often_first]))
        wanted = [text for text in offered if text not in query.products]
        left_out["clicked for the same query"] += len(offered) - len(wanted)
        left_out["more than a pair keeps"] += max(0, len(wanted) - limits.negatives)
        yield Pair(query.text, product, tuple(wanted[: limits.negatives]))
