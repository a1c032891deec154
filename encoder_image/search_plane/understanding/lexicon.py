"""The words of one catalogue: its brands, its categories, and how often its titles say what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from search_plane.understanding.features import EMPTY_WORDS, Feature
from search_plane.understanding.spelling_index import SpellingIndex

Counts = Mapping[str, int]
Chances = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Brand:
    """A value of the brand field.

    `spellings` are folded, the shortest first. `categories`: its products by category. `other_senses`: sampled titles
    by category in which its name is another thing's (小米 in millet). `fitted`: sampled titles of other brands, by
    category, that fit it (适用小米); `series`: names of its models that these say instead (红米); `own`: its own
    sampled titles by category. Of a name that is a `common_word` too, `beside` says, by what stands right before or
    after the name, how much likelier the brand is meant (a logarithm, negative for the other thing).
    """

    value: str
    spellings: tuple[str, ...]
    products: int = 0
    categories: Counts = field(default_factory=dict)
    other_senses: Counts = field(default_factory=dict)
    fitted: Counts = field(default_factory=dict)
    series: tuple[str, ...] = ()
    own: Counts = field(default_factory=dict)
    beside: Chances = field(default_factory=dict)
    common_word: bool = False


@dataclass(frozen=True, slots=True)
class Lexicon:
    """What is known of a catalogue; everything folded but the values of fields. The default knows nothing.

    `brands` by value; `spellings` to values, the brand with most products first. `categories`: products by category.
    `titles`: how many were sampled. `words`: how many of them hold each run of 2 to 4 characters or Latin word.
    `sounding`: frequent words by how they sound; `typed`: Chinese ones by their pinyin in one piece; `near_latin`:
    frequent Latin words by what is left of them without one letter. `chances`: by feature, the share of each category's
    titles that hold it; `concentrated`: features that tell a kind of thing, with the share of their titles by category.
    """

    brands: Mapping[str, Brand] = field(default_factory=dict)
    spellings: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    brand_index: SpellingIndex = field(default_factory=SpellingIndex)
    categories: Counts = field(default_factory=dict)
    titles: int = 0
    words: Counts = field(default_factory=dict)
    sounding: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)
    near_latin: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    chances: Mapping[str, Chances] = field(default_factory=dict)
    concentrated: Mapping[str, Chances] = field(default_factory=dict)

    def knows(self, word: str) -> bool:
        """Whether any sampled title or brand holds the word."""
        return word in self.words or word in self.spellings

    def telling(self, found: Sequence[Feature]) -> list[str]:
        """Names of those that say something of the category: known ones, and of two that overlap the longer."""
        known = [one for one in found if one.name in self.chances and one.name not in EMPTY_WORDS]
        covered = {place for one in known if one.end - one.start > 1 for place in range(one.start, one.end)}
        return [one.name for one in known if one.end - one.start > 1 or one.start not in covered]


EMPTY = Lexicon()
