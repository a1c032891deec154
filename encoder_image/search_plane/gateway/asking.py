"""Reading a search's parameters from its address and headers, and describing them. Pure.

By hand and not by FastAPI's own reading: it validates each of them anew, and names the remedy of none.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, get_args

from search_plane.gateway.faults import BadQuery
from search_plane.gateway.filters import NO_FILTERS, Filters
from search_plane.gateway.query import DEFAULT_K, MAX_BRANDS, MAX_CHARACTERS, MAX_K, Asked
from search_plane.release.policy import Mode

USER_HEADER: Final = "X-User-Key"
SESSION_HEADER: Final = "X-Session-Key"
MAX_KEY_CHARACTERS: Final = 256

_MODES: Final = get_args(Mode)
_WHOLE = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", re.ASCII)
_YES: Final = frozenset({"true", "1", "yes", "on"})
_NO: Final = frozenset({"false", "0", "no", "off"})


def read(parameters: Iterable[tuple[str, str]], headers: Mapping[str, str]) -> Asked:
    """What is asked. Of a parameter that is given twice the last counts, `brand` adds up; unknown ones are ignored.

    Raises BadQuery, which names the parameter.
    """
    given: dict[str, str] = {}
    brands: list[str] = []
    for name, value in parameters:
        if name == "brand":
            brands.append(value)
        else:
            given[name] = value
    if "q" not in given:
        raise BadQuery("q", "q is missing: give the words to search for, e.g. q=蓝牙耳机")
    return Asked(
        q=given["q"],
        k=_whole(given, "k", DEFAULT_K),
        offset=_whole(given, "offset", 0),
        mode=_mode(given.get("mode")),
        filters=_filters(given, brands),
        understand=_flag(given, "understand", default=True),
        facets=_flag(given, "facets"),
        highlight=_flag(given, "highlight"),
        rerank=_flag(given, "rerank") if "rerank" in given else None,
        key=_key(given, headers),
    )


def _filters(given: Mapping[str, str], brands: list[str]) -> Filters:
    category = given.get("category")
    low, high = _price(given, "price_min"), _price(given, "price_max")
    in_stock = _flag(given, "in_stock")
    if category is None and low is None and high is None and not brands and not in_stock:
        return NO_FILTERS
    return Filters(category, tuple(brands), low, high, in_stock)


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name)
    if text is None:
        return default
    if not _WHOLE.fullmatch(text):
        raise BadQuery(name, f"{name} must be a whole number such as {max(default, 1)}, it is {_shown(text)}")
    return int(text)


def _price(given: Mapping[str, str], name: str) -> float | None:
    text = given.get(name)
    if text is None:
        return None
    if not _DECIMAL.fullmatch(text) or not math.isfinite(price := float(text)):
        raise BadQuery(name, f"{name} must be a price such as 99.9, it is {_shown(text)}")
    return price


def _flag(given: Mapping[str, str], name: str, default: bool = False) -> bool:
    text = given.get(name)
    if text is None:
        return default
    if text in _NO:
        return False
    if text not in _YES:
        raise BadQuery(name, f"{name} must be true or false, it is {_shown(text)}")
    return True


def _mode(text: str | None) -> Mode | None:
    if text is None:
        return None
    for mode in _MODES:
        if text == mode:
            known: Mode = mode
            return known
    raise BadQuery("mode", f"mode must be one of {', '.join(_MODES)}, it is {_shown(text)}")


def _key(given: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The user's key before the session's, a header before a parameter; their kinds never meet."""
    for kind, header in (("user", USER_HEADER), ("session", SESSION_HEADER)):
        value = headers.get(header) or given.get(kind)
        if value:
            if len(value) > MAX_KEY_CHARACTERS:
                raise BadQuery(kind, f"{kind} must have at most {MAX_KEY_CHARACTERS} characters")
            return f"{kind}:{value}"
    return ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")


def described() -> list[dict[str, Any]]:
    """The parameters for the OpenAPI description."""
    flag = {"type": "boolean", "default": False}
    price = {"type": "number", "minimum": 0}
    value = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
    key = {"type": "string", "maxLength": MAX_KEY_CHARACTERS}
    hashed = "for a sticky arm of an experiment and for logs; only a salted hash of it is ever kept."
    return [
        _parameter(
            "q",
            f"What to search for: 1..{MAX_CHARACTERS} characters after NFKC and trimming.",
            value,
            required=True,
            example="便宜的蓝牙耳机",
        ),
        _parameter(
            "k",
            f"Hits wanted: 1..{MAX_K}, at most the release's depth.",
            {"type": "integer", "minimum": 1, "maximum": MAX_K, "default": DEFAULT_K},
            example=10,
        ),
        _parameter(
            "offset",
            "Hits to leave out before the first: the next page. `offset` + `k` is at most the release's depth.",
            {"type": "integer", "minimum": 0, "default": 0},
            example=10,
        ),
        _parameter(
            "mode",
            "How to look: by meaning and words (`fused`), or by one of them. Without it as the policy has it.",
            {"type": "string", "enum": list(_MODES)},
            example="fused",
        ),
        _parameter(
            "category",
            "Only this category, and what lies under it (`数码` has `数码/耳机`).",
            value,
            example="蓝牙耳机",
        ),
        _parameter(
            "brand",
            f"Only this brand, as the catalogue writes it. Repeatable, up to {MAX_BRANDS} times: any of them.",
            {"type": "array", "items": value, "maxItems": MAX_BRANDS},
            example=["小米", "华为"],
        ),
        _parameter("price_min", "Only products of this price or more.", price, example=50),
        _parameter("price_max", "Only products of this price or less.", price, example=199.9),
        _parameter("in_stock", "Only products whose stock is above 0 now.", flag, example=True),
        _parameter(
            "understand",
            "`false`: look for the query as it is written, without corrections, brands, synonyms and price words.",
            {"type": "boolean", "default": True},
        ),
        _parameter("facets", "Whether to count brands, categories, prices and stock.", flag, example=True),
        _parameter("highlight", "Whether to mark the words in titles.", flag, example=True),
        _parameter(
            "rerank",
            "Whether to have the first hits ordered anew, where there is room. Without it as the user's cohort has it.",
            {"type": "boolean"},
        ),
        _parameter("user", f"A user's key, {hashed} Better as the header {USER_HEADER}.", key),
        _parameter("session", f"A session's key, {hashed} Better as the header {SESSION_HEADER}.", key),
        _parameter(USER_HEADER, f"A user's key, {hashed}", key, where="header"),
        _parameter(SESSION_HEADER, f"A session's key, {hashed}", key, where="header"),
    ]


def _parameter(
    name: str,
    description: str,
    schema: dict[str, Any],
    *,
    required: bool = False,
    example: object = None,
    where: str = "query",
) -> dict[str, Any]:
    told = {"name": name, "in": where, "required": required, "description": description, "schema": schema}
    return told if example is None else {**told, "example": example}
