"""What a query says of the price: words (便宜, 高端) and sums of money (200元以下, 千元)."""

import re
from dataclasses import dataclass
from typing import Final, Literal

_LOW: Final = re.compile(
    "便宜|实惠|平价|性价比|白菜价|划算|物美价廉|特价|省钱|不贵|低价|廉价|超值|经济型|入门级|入门款|骨折价|亏本|清仓|学生党|(?<![一二两三四五六七八九十千])百元以内|不要太贵|别太贵"
)
_HIGH: Final = re.compile(
    "高端|土豪|旗舰(?!店)|奢华|奢侈|(?<![不太别很])贵(?:一点|点|一些|些)|顶配|轻奢|尊享|不差钱|高档|豪华|顶级|大师级|不便宜"
)
_DIGITS: Final = {character: value for value, character in enumerate("零一二三四五六七八九")} | {"两": 2}
_STEPS: Final = {"十": 10, "百": 100, "千": 1000, "万": 10_000}
_SUM: Final = r"(?P<{0}>\d{{1,7}}(?:\.\d{{1,2}})?[千万k]?|[一二两三四五六七八九十百千万]{{1,8}})"
_MONEY: Final = r"(?:元|块钱|块|rmb)"
_RANGE: Final = re.compile(
    rf"{_SUM.format('low')}\s?{_MONEY}?\s?(?:-|~|到|至)\s?{_SUM.format('high')}\s?{_MONEY}(?:之间|左右|的)?"
)
# Of two round sums that stand before a thing or end the text no currency is needed: 2000到3000的手机.
_BARE_RANGE: Final = re.compile(
    r"(?<![\d.a-z])(?P<low>[1-9]\d{0,4}0)\s?(?:-|~|到|至)\s?(?P<high>[1-9]\d{0,4}0)(?=的|左右|之间|$)(?:左右|之间)?的?"
)
_AT_MOST_BEFORE: Final = re.compile(
    rf"(?:不超过|(?<!不)低于|不到|少于|最多)\s?{_SUM.format('sum')}\s?{_MONEY}(?:的)?"
)
_AT_LEAST_BEFORE: Final = re.compile(
    rf"(?:(?<!不)超过|(?<!不)高于|不低于|至少)\s?{_SUM.format('sum')}\s?{_MONEY}(?:的)?"
)
_AT_MOST: Final = re.compile(rf"{_SUM.format('sum')}\s?{_MONEY}\s?(?:以内|以下|之内|之下|内)(?:的)?")
_AT_LEAST: Final = re.compile(rf"{_SUM.format('sum')}\s?{_MONEY}\s?(?:以上|之上|起)(?:的)?")
_ABOUT: Final = re.compile(rf"{_SUM.format('sum')}\s?{_MONEY}\s?(?:左右|上下)(?:的)?")
# 200以内 without a currency is a sum only at the end, where no kind of thing can follow: 100以内加减法.
_BARE: Final = re.compile(rf"(?:^|[\s\u4e00-\u9fff]){_SUM.format('sum')}(?P<how>以内|以下)$")
# 千元手机 and 千元机 cost one thousand and more, but no two thousand.
_ORDER: Final = re.compile(
    r"(?<![一二两三四五六七八九十几\d])(?P<sum>[百千万])元(?:级|档|价位)?(?=机|[\s\u4e00-\u9fff]|$)"
)
_ABOUT_BY: Final = 0.3


@dataclass(frozen=True, slots=True)
class Price:
    """What was asked of the price, and the text without the sums."""

    rest: str
    word: Literal["low", "high"] | None = None
    least: float | None = None
    most: float | None = None


def price_in(text: str) -> Price:
    """Reads a folded text. Words of price stay in it, for titles say them too; sums go, unless nothing would be left."""
    word: Literal["low", "high"] | None = "low" if _LOW.search(text) else None
    if _HIGH.search(text):
        word = "high" if word is None else None
    for pattern in (
        _RANGE,
        _BARE_RANGE,
        _AT_LEAST_BEFORE,
        _AT_MOST_BEFORE,
        _AT_MOST,
        _AT_LEAST,
        _ABOUT,
        _BARE,
        _ORDER,
    ):
        match = pattern.search(text)
        if match is None:
            continue
        bounds = _bounds(pattern, match)
        if bounds is None:
            continue
        cut = match.span("sum")[0] if pattern is _BARE else match.start()
        rest = " ".join(f"{text[:cut]} {text[match.end() :]}".split())
        return Price(rest or text, word, *bounds)
    return Price(text, word)


def _bounds(pattern: re.Pattern[str], match: re.Match[str]) -> tuple[float | None, float | None] | None:
    if pattern in (_RANGE, _BARE_RANGE):
        low, high = _amount(match["low"]), _amount(match["high"])
        return (low, high) if low is not None and high is not None and low <= high else None
    amount = _amount(match["sum"])
    if not amount:
        return None
    if pattern is _ABOUT:
        return round(amount * (1 - _ABOUT_BY), 2), round(amount * (1 + _ABOUT_BY), 2)
    if pattern is _ORDER:
        return amount, 2 * amount
    return (amount, None) if pattern in (_AT_LEAST, _AT_LEAST_BEFORE) else (None, amount)


def _amount(text: str) -> float | None:
    """A number in digits (with 千, 万, k) or in Chinese up to 九千九百九十九万; None for what is no number."""
    if text[0].isdigit():
        factor = {"千": 1000, "k": 1000, "万": 10_000}.get(text[-1], 1)
        return float(text.rstrip("千万k")) * factor
    total = part = digit = 0
    for character in text:
        if character in _DIGITS:
            if digit:
                return None
            digit = _DIGITS[character]
        elif character == "万":
            total, part, digit = (part + digit or 1) * 10_000, 0, 0
        else:
            part, digit = part + (digit or 1) * _STEPS[character], 0
    return float(total + part + digit)
