"""Words that mean the same in this shop, as a resource declares them (`spec.search.synonyms`)."""

from importlib import resources


def _lines() -> tuple[str, ...]:
    text = resources.files("sample_catalogue").joinpath("vocabulary", "synonyms.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


SYNONYMS = _lines()
"""Lines "a, b, c" of words that mean the same, or "a => b" for one direction."""
