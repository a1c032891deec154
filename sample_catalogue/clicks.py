"""A made-up click log: who asks for a kind in the words of a price clicks that, and passes over the other prices."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator

from sample_catalogue.product import Product
from sample_catalogue.words import wording

DEFAULT_QUERIES = 600

_CLICKED = 4
_PASSED_OVER = 2


def click_log(
    products: Iterable[Product], queries: int = DEFAULT_QUERIES, seed: int = 7
) -> Iterator[dict[str, object]]:
    """Yields rows as `encoder finetune` reads them, for at most `queries` different queries.

    `{"query": "白菜价的蓝牙耳机", "product_id": "<sku>", "negative_ids": ["<sku>", ...]}`. Clicked is what the labels say
    answers the query, whatever words its title uses; a negative is of the same kind at another price.
    """
    by_kind: dict[str, list[Product]] = defaultdict(list)
    for product in products:
        by_kind[product.labels.product_type].append(product)
    draw = random.Random(seed)  # noqa: S311 - sample data, nothing secret
    wanted = [
        (f"{word}的{kind}", kind, band)
        for kind, of_kind in sorted(by_kind.items())
        for band in sorted({product.labels.price_band for product in of_kind})
        for word in wording().bands[band].words
    ]
    draw.shuffle(wanted)
    for query, kind, band in wanted[:queries]:
        clicked = [product.sku for product in by_kind[kind] if product.labels.price_band is band]
        passed = [product.sku for product in by_kind[kind] if product.labels.price_band is not band]
        for sku in draw.sample(clicked, min(_CLICKED, len(clicked))):
            negatives = draw.sample(passed, min(_PASSED_OVER, len(passed)))
            yield {"query": query, "product_id": sku, "negative_ids": negatives}
