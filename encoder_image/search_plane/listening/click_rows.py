"""Clicks of the log as the rows that `encoder finetune` reads. Pure."""

from collections import Counter
from collections.abc import Iterable

from search_plane.finetuning.rows import ClickRow
from search_plane.listening.events import Search
from search_plane.listening.queries import folded


def click_rows(searches: Iterable[Search], nameable: frozenset[str]) -> list[ClickRow]:
    """How often each product was looked at for each query, and how often clicked; the most clicked first.

    Looked at are hits down to the lowest one that was clicked: below it nobody may have looked, and without a click
    nobody knows how far. Only queries that may be named, with at least one click.
    """
    looked_at: Counter[tuple[str, str]] = Counter()
    clicked: Counter[tuple[str, str]] = Counter()
    queries: set[str] = set()
    for search in searches:
        query = folded(search.shown.query)
        if query not in nameable or not search.clicks:
            continue
        queries.add(query)
        lowest = max(click.rank for click in search.clicks) - search.shown.offset
        looked_at.update((query, id) for id in dict.fromkeys(search.shown.hits[:lowest]))
        clicked.update({(query, click.id) for click in search.clicks})
    rows = [
        ClickRow(query=query, product_id=id, impressions=impressions, clicks=clicked[query, id])
        for (query, id), impressions in looked_at.items()
    ]
    return sorted(
        rows, key=lambda row: (-(row.clicks or 0), -(row.impressions or 0), row.query, row.product_id or "")
    )
