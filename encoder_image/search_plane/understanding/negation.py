"""What a query does not want: 不要降噪, 非苹果, 除了小米以外. 无线, 非常 and 无糖 are words, not negations."""

import re
from dataclasses import dataclass
from typing import Final

from search_plane.understanding.features import LATIN_WORD
from search_plane.understanding.folding import is_han
from search_plane.understanding.lexicon import Lexicon

_EXCEPT: Final = re.compile(r"(?:除了|排除|除去)\s?(?P<what>[^\s,。;的以之外]{2,12})(?:以外|之外|外)?的?")
_NOT: Final = re.compile(
    r"(?:(?<!要)不要|别要|不想要|不需要|不考虑|不喜欢|不含有|不含|不带|(?<!是)不是|拒绝|去掉)(?!钱)\s?(?P<what>[^\s,。;]{1,24})"
)
# One character negates only before a word that the catalogue knows, and where it makes no word with it.
_BARE: Final = re.compile(r"(?:(?<=^)|(?<=[\s,的]))(?P<not>非|无)(?P<what>[^\s,。;的]{2,12})")
_LONGEST: Final = 8
_MOST: Final = 4
_SHORT: Final = 2
# 鸡肉味 and 儿童款 are said of what titles call 鸡肉 and 儿童.
_SORTS: Final = ("款", "味", "型", "类", "系列")
_SORT: Final = re.compile(rf"^(?:{'|'.join(_SORTS)})(?=的|\s|$)")
_TOO_DEAR: Final = re.compile(r"^(?:太|很|特别)?贵")
_DEGREE: Final = re.compile(r"^(?:太|很|那么|特别)")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A text without what is not wanted in it, and the words that are not."""

    text: str
    excluded: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()


def wanted_of(text: str, lexicon: Lexicon) -> Wanted:
    """Reads a folded text. What may be a word stays as it is; 不含糖 becomes 无糖 where titles say that."""
    excluded: dict[str, None] = {}
    brands: dict[str, None] = {}
    rest = text
    for _ in range(_MOST):
        found = _next(rest, lexicon)
        if found is None:
            break
        rest, word, free_of = found
        if free_of:
            continue
        excluded[word] = None
        for value in lexicon.spellings.get(word, ()):
            brands[value] = None
            excluded.update(dict.fromkeys(lexicon.brands[value].spellings))
    if not rest.strip("的 "):
        return Wanted(text)
    return Wanted(rest, tuple(excluded)[:16], tuple(brands)[:_MOST])


def _next(text: str, lexicon: Lexicon) -> tuple[str, str, bool] | None:
    """(the text without its first negation, the word, whether 无 and the word is a word of the catalogue)."""
    for pattern in (_EXCEPT, _NOT, _BARE):
        for match in pattern.finditer(text):
            what = match["what"]
            if _TOO_DEAR.match(what) or _DEGREE.match(what):
                continue
            before, after = text[: match.start()], text[match.end() :]
            if pattern is _EXCEPT:
                return _joined(before, after), what, False
            if pattern is _BARE and lexicon.knows(match["not"] + what[0]):
                continue
            word = _word(what, lexicon, pattern is _BARE)
            if word is None:
                continue
            after = _SORT.sub("", what[len(word) :]) + after
            if free_of := _free_of(word, lexicon):
                return f"{before}{free_of}{after}", word, True
            if is_han(word[0]) and len(word) < _SHORT:
                continue
            return _joined(before, after.removeprefix("的")), word, False
    return None


def _joined(before: str, after: str) -> str:
    return " ".join(f"{before} {after}".split())


def _free_of(word: str, lexicon: Lexicon) -> str | None:
    """无糖 for 糖, where titles say so."""
    if is_han(word[0]) and len(word) <= _SHORT and lexicon.words.get(f"无{word}", 0):
        return f"无{word}"
    return None


def _word(what: str, lexicon: Lexicon, known_only: bool) -> str | None:
    """The word that the negation is about: up to 的, else a brand, else what can be cut off before a known word."""
    if latin := LATIN_WORD.match(what):
        return latin.group()
    until = what.find("的")
    phrase = what[:until] if until > 0 else what
    han = 0
    while han < len(phrase) and is_han(phrase[han]):
        han += 1
    phrase = phrase[:han]
    if not phrase:
        return None
    brands = [phrase[:length] for length in range(len(phrase), 1, -1) if phrase[:length] in lexicon.spellings]
    if brands:
        return brands[0]
    cuts = [
        (min(lexicon.words.get(phrase[:cut], 0), lexicon.words.get(phrase[cut:], 0)), cut)
        for cut in range(_SHORT, len(phrase) - 1)
    ]
    if until <= 0 and cuts and max(cuts)[0] > 0:
        return phrase[: max(cuts)[1]]
    if known_only and not lexicon.knows(phrase):
        return None
    return _without_sort(phrase, lexicon) if len(phrase) <= _LONGEST else None


def _without_sort(phrase: str, lexicon: Lexicon) -> str:
    for sort in _SORTS:
        plain = phrase.removesuffix(sort)
        if (
            plain != phrase
            and len(plain) >= _SHORT
            and lexicon.words.get(plain, 0) > lexicon.words.get(phrase, 0)
        ):
            return plain
    return phrase
