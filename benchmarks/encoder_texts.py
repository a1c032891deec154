"""Texts to embed: queries of one length, and the documents of made-up products, which differ in length."""

from search_plane.encoder.tokenising import TextTokeniser

from sample_catalogue import generate
from tests.testbed.cluster import TestbedError

QUERY_TOKENS = 16
SEED = 7


def texts_of_products(count: int) -> list[str]:
    """What an index embeds of made-up products."""
    documents = (product.document() for product in generate(count, SEED))
    return [f"{one['brand']} {one['title']} {one['category']}" for one in documents]


def queries_of(tokeniser: TextTokeniser, count: int) -> list[str]:
    """Beginnings of product titles that are 16 tokens long."""
    found: list[str] = []
    for title in texts_of_products(4 * count):
        for length in range(8, len(title)):
            tokens = len(tokeniser.encode([title[:length]])[0])
            if tokens >= QUERY_TOKENS:
                if tokens == QUERY_TOKENS:
                    found.append(title[:length])
                break
        if len(found) == count:
            return found
    raise TestbedError(f"only {len(found)} of {count} queries of {QUERY_TOKENS} tokens")
