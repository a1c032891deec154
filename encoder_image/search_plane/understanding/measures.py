"""What must match in one piece: measures (20w, 5000mah), model numbers (k70, wf-1000xm5, type-c, iphone 15)."""

import re
from typing import Final

_MOST: Final = 8
_UNITS: Final = (
    "mah|wh|kwh|ah|kw|w|v|kg|mg|g|ml|l|mm|cm|m|gb|tb|mb|k|ghz|mhz|hz|dpi"
    "|寸|英寸|斤|公斤|千克|克|升|毫升|米|厘米|毫米|片|粒|支|瓦|毫安|度|段|码|件套"
)
_MEASURE: Final = rf"\d+(?:\.\d+)?\s?(?:{_UNITS})(?![a-z])(?:\s?\+\s?\d+(?:\.\d+)?\s?(?:{_UNITS})(?![a-z]))*"
_ONE_MEASURE: Final = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,3})?)\s?(?P<unit>[a-z]+|[\u4e00-\u9fff]+)")
# Units of one kind, each with its size in the smallest.
_SAME_KIND: Final[tuple[dict[str, float], ...]] = (
    {"kg": 1000, "公斤": 1000, "斤": 500, "g": 1, "克": 1, "千克": 1000},
    {"l": 1000, "升": 1000, "ml": 1, "毫升": 1},
    {"m": 1000, "米": 1000, "cm": 10, "厘米": 10, "mm": 1, "毫米": 1},
    {"mah": 1, "毫安": 1},
    {"w": 1, "瓦": 1},
    {"英寸": 1, "寸": 1},
)
# What makes another model of the same series.
VARIANTS: Final = ("pro", "plus", "max", "mini", "ultra", "se", "air", "lite", "turbo", "s", "e")
_VARIANT: Final = r"(?:\s?(?:pro|plus|max|mini|ultra|lite|turbo)(?![a-z]))"
_SERIES: Final = (
    rf"[a-z]+ (?:[a-z]+ ){{0,2}}?\d{{1,4}}(?![\d.]|\s?(?:{_UNITS})(?![a-z]))[a-z]?(?![a-z0-9]){_VARIANT}*"
)
_HYPHENATED: Final = r"[a-z]+\d*(?:-[a-z0-9]+)+"
_CODE: Final = rf"(?=[a-z0-9]*\d)(?=[a-z0-9]*[a-z])[a-z0-9]+(?:\.\d+)?{_VARIANT}*"
_WHOLE: Final = re.compile(
    rf"(?<![a-z0-9.-])(?:(?P<measure>{_MEASURE})|(?P<series>{_SERIES})|(?P<hyphenated>{_HYPHENATED})|(?P<code>{_CODE}))(?![a-z0-9])"
)
_CHINESE_MODEL: Final = re.compile(
    r"[\u4e00-\u9fff](?P<number>\d{1,2})(?=\s?(?:pro|ultra|plus|max|se|手机|\s|$))"
)


def whole_in(text: str) -> tuple[str, ...]:
    """The models and measures of a folded text, at most 8, measures without inner spaces."""
    found = dict.fromkeys(
        match.group().replace(" ", "") if match.lastgroup == "measure" else match.group()
        for match in _WHOLE.finditer(text)
    )
    return tuple(found)[:_MOST]


def other_models_of(whole: tuple[str, ...]) -> tuple[str, ...]:
    """Names that go on where these end, so that a title with them means another model: iphone 15 pro for iphone 15."""
    models = [
        name
        for name in whole
        if re.search(r"[a-z]", name) and re.search(r"\d$", name) and not _is_measure(name)
    ]
    longer = [
        f"{name}{space}{variant}" for name in models[:2] for variant in VARIANTS[:5] for space in (" ",)
    ]
    return tuple(name for name in longer if name not in whole)


def same_measures(name: str) -> tuple[str, ...]:
    """Other ways to write a measure, the usual ones: 5kg and 5公斤 for 10斤; () for what is none or has no other."""
    match = _ONE_MEASURE.fullmatch(name)
    if match is None:
        return ()
    for units in _SAME_KIND:
        if size := units.get(match["unit"]):
            amount = float(match["number"]) * size
            written = (
                f"{amount / other:g}{unit}" for unit, other in units.items() if 0.1 <= amount / other < 1e5
            )
            return tuple(one for one in written if one != name and "e" not in one)[:_MOST]
    return ()


def names_whole(title: str, name: str) -> bool:
    """Whether a folded title names this model, or this measure in any way to write it."""
    return any(names_model(title, one) for one in (name, *same_measures(name)))


def names_model(title: str, model: str) -> bool:
    """Whether a folded title names this model and not a longer one: iphone 15 is not iphone 15 pro max."""
    pattern = re.escape(model).replace(r"\ ", r"\s?")
    return re.search(rf"(?<![a-z0-9])(?<!\d\.){pattern}(?![a-z0-9.])(?!{_VARIANT})", title) is not None


def _is_measure(name: str) -> bool:
    return re.fullmatch(_MEASURE, name) is not None
