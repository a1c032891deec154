"""What the catalogue's index can be asked: which of its fields hold words, which whole values. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from search_plane.release.record import CatalogueFields

# What sellers write beside the title, where the index has a field of this name that holds words.
DESCRIPTION = "description"
# Sub-fields that mappings made by hand or by Elasticsearch itself use for the whole value.
_WHOLE_VALUE_NAMES = ("keyword", "raw", "exact")
_WORDS = frozenset({"text", "match_only_text", "search_as_you_type"})
_VALUES = frozenset({"keyword", "constant_keyword", "wildcard"})
_NUMBERS = frozenset(
    {"long", "integer", "short", "byte", "double", "float", "half_float", "scaled_float", "unsigned_long"}
)


@dataclass(frozen=True, slots=True)
class IndexFields:
    """Field names to search by.

    `*_exact` hold a brand or category as one value; None where the index has no such field. `title_more` are other
    analyses of the title (sub-fields). `brand_words` and `category_words` are for single words of a query. `price` and
    `stock` are as the release names them; only where the price is a number can it be preferred or counted.
    `description` is None where the index holds no such words.
    """

    title: str
    price: str
    stock: str
    brand_words: str
    category_words: str
    brand_exact: str | None = None
    category_exact: str | None = None
    title_more: tuple[str, ...] = ()
    price_is_number: bool = False
    description: str | None = None


def unread(fields: CatalogueFields) -> IndexFields:
    """What may be assumed of an index whose mapping is not known yet: names alone."""
    return IndexFields(
        title=fields.title,
        price=fields.price,
        stock=fields.stock,
        brand_words=fields.brand,
        category_words=fields.category,
    )


def patterns(fields: CatalogueFields) -> list[str]:
    """What to ask `_field_caps` for."""
    named = [
        name for field in (fields.title, fields.brand, fields.category) for name in (field, f"{field}.*")
    ]
    return [*named, fields.price, DESCRIPTION]


def index_fields(capabilities: Mapping[str, Mapping[str, object]], fields: CatalogueFields) -> IndexFields:
    """The fields as `_field_caps` tells them: name -> type -> what that type can do in the index.

    A field of several types (an alias over indices that differ) counts as none: what holds for one index only would
    make the search fail on the other.
    """
    types = {name: next(iter(kinds)) for name, kinds in capabilities.items() if len(kinds) == 1}

    def exact(field: str) -> str | None:
        names = (field, *(f"{field}.{name}" for name in _WHOLE_VALUE_NAMES))
        return next((name for name in names if types.get(name) in _VALUES), None)

    more = sorted(
        name
        for name, kind in types.items()
        # search_as_you_type brings fields of its own, of no use here.
        if name.startswith(f"{fields.title}.") and kind in _WORDS and "._" not in name
    )
    return IndexFields(
        title=fields.title,
        price=fields.price,
        stock=fields.stock,
        brand_words=fields.brand,
        category_words=fields.category,
        brand_exact=exact(fields.brand),
        category_exact=exact(fields.category),
        title_more=tuple(more),
        price_is_number=types.get(fields.price) in _NUMBERS,
        description=DESCRIPTION if types.get(DESCRIPTION) in _WORDS else None,
    )
