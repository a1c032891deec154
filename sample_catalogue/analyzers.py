"""How titles are cut into words: folded characters, a Chinese tokenizer, models and measures in one piece.

docs/search-language.md explains the chain for an index of one's own.
"""

from __future__ import annotations

from typing import Any

from elasticsearch import BadRequestError, Elasticsearch
from opencc import OpenCC

PLAIN = "standard"
"""The analyzer that every server has; it cuts Chinese into single characters."""

_TOKENIZERS = {"ik": ("ik_max_word", "ik_smart"), "smartcn": ("smartcn_tokenizer", "smartcn_tokenizer")}
"""By chain, the tokenizers for titles and for queries; the better first."""

_FULL_WIDTH = range(0xFF01, 0xFF5F)
_IDEOGRAPHS = (range(0x3400, 0x4DC0), range(0x4E00, 0xA000))
_PUNCTUATION = [",", ".", "-", "+", "/", "(", ")", "[", "]", "*", ":", ";", "!", "?"]


def best_analyzer(es_client: Elasticsearch) -> str:
    """What the server has: "ik", else "smartcn", else "standard". Raises the client's errors without an answer."""
    for name, (tokenizer, _) in _TOKENIZERS.items():
        try:
            es_client.indices.analyze(tokenizer=tokenizer, text="小米手机")
        except BadRequestError:
            continue
        return name
    return PLAIN


def has_chain(analyzer: str) -> bool:
    """Whether there is a chain of that name; other names are analyzers of the server, used as they are."""
    return analyzer in _TOKENIZERS


def chain(analyzer: str) -> dict[str, Any]:
    """`analysis` of an index's settings: analyzers `chinese`, `chinese_query`, `models`, and the normalizer `folded`."""
    written, asked = _TOKENIZERS[analyzer]
    return {
        "char_filter": {"folding": {"type": "mapping", "mappings": folding_rules()}},
        "tokenizer": {
            "models": {"type": "pattern", "pattern": "[a-zA-Z0-9]+(?:[.+-][a-zA-Z0-9]+)*", "group": 0}
        },
        "filter": {"punctuation": {"type": "stop", "stopwords": _PUNCTUATION}},
        "analyzer": {
            "chinese": _analyzer(written, "lowercase", "punctuation"),
            "chinese_query": _analyzer(asked, "lowercase", "punctuation"),
            "models": _analyzer("models", "lowercase"),
        },
        "normalizer": {"folded": {"type": "custom", "char_filter": ["folding"], "filter": ["lowercase"]}},
    }


def text_field() -> dict[str, Any]:
    """A text field of that chain, with `.models` for models and measures in one piece."""
    return {
        "type": "text",
        "analyzer": "chinese",
        "search_analyzer": "chinese_query",
        "fields": {"models": {"type": "text", "analyzer": "models"}},
    }


def folding_rules() -> list[str]:
    """Rules of a `mapping` char filter: full width to half, traditional to simplified, one character for one."""
    rules = [_rule(0x3000, " ")] + [_rule(code, chr(code - 0xFEE0)) for code in _FULL_WIDTH]
    simplified = OpenCC("t2s")
    for ideographs in _IDEOGRAPHS:
        for code in ideographs:
            other = simplified.convert(chr(code))
            if other != chr(code) and len(other) == 1 and ord(other) <= 0xFFFF:
                rules.append(_rule(code, other))
    return rules


def _rule(code: int, other: str) -> str:
    return f"\\u{code:04x}=>\\u{ord(other):04x}"


def _analyzer(tokenizer: str, *filters: str) -> dict[str, Any]:
    return {"type": "custom", "char_filter": ["folding"], "tokenizer": tokenizer, "filter": list(filters)}
