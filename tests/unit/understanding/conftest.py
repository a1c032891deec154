"""The lexicon of the sample catalogue, learnt once."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from search_plane.understanding.learning import Title, lexicon_of
from search_plane.understanding.lexicon import Lexicon

from sample_catalogue import generate

PRODUCTS = 10_000
SAMPLE = 5_000


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    """Of 10,000 products and, as in the gateway, 5,000 of their titles."""
    products = list(generate(PRODUCTS, 7))
    pairs = Counter((product.brand, product.category) for product in products)
    sample = [Title(one.title, one.brand, one.category) for one in islice(products, SAMPLE)]
    return lexicon_of(pairs, sample)
