"""One spelling for what people type in many: NFKC, simplified characters, lower-case Latin."""

import unicodedata
from functools import cache
from typing import Final

from opencc import OpenCC

_ROUNDS: Final = 4
# What a UTF-8 library can't take (lone surrogates) and what separates nothing visible.
_DROPPED: Final = dict.fromkeys([*range(0xD800, 0xE000), 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF])


@cache
def _to_simplified() -> OpenCC:
    return OpenCC("t2s")


def folded(text: str) -> str:
    """`text` in NFKC, simplified and lower case, with single spaces; folding twice changes nothing. Never raises."""
    if text.isascii():
        return _one_space(text.lower())
    simplified = _to_simplified()
    for _ in range(_ROUNDS):
        again = unicodedata.normalize("NFKC", text).translate(_DROPPED).lower()
        again = _one_space(unicodedata.normalize("NFKC", simplified.convert(again)))
        if again == text:
            break
        text = again
    return text


def _one_space(text: str) -> str:
    return " ".join(text.split())


def is_han(character: str) -> bool:
    """Whether it is a Chinese character (the unified ideographs and their first extension)."""
    return "\u4e00" <= character <= "\u9fff" or "\u3400" <= character <= "\u4dbf"
