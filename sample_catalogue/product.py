"""What a product is: the document that is indexed, and the labels that only judges may see."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

Document = dict[str, object]


class PriceBand(StrEnum):
    """Where a price lies among its product type's own prices."""

    BUDGET = "budget"
    MID = "mid"
    PREMIUM = "premium"


@dataclass(frozen=True, slots=True)
class Labels:
    """The truth about a product, for judging search results; never part of the indexed document.

    `department` is the first step of the category path (数码). `meanings` tells words apart that are
    spelt alike: 小米:品牌 (the maker of phones) and 小米:粮食 (millet). `fits_brand` is the brand of phone
    that an accessory fits, "" if none, `fits_model` the phone that its title names (iPhone 15). `model` is the
    maker's name or number of the product in the title, "" if there is none, and `features` are what it can do.
    `synonyms` maps each class of words to the word that this product's
    title used for it, such as 便宜 -> 性价比之王. `typo` and `full_width` say that the title has one slip,
    or full-width ASCII.
    """

    product_type: str
    department: str
    audience: str
    price_band: PriceBand
    intents: tuple[str, ...]
    meanings: frozenset[str]
    fits_brand: str
    fits_model: str
    model: str
    features: tuple[str, ...]
    synonyms: dict[str, str]
    typo: bool
    full_width: bool


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalogue.

    `price` is in yuan with two decimals, `stock` in pieces, `updated_at` ISO 8601 in UTC, `on_sale` says
    whether the shop offers it at all. `category` is the leaf of `category_path`.
    """

    sku: str
    title: str
    brand: str
    category: str
    category_path: str
    price: float
    stock: int
    attributes: dict[str, str]
    description: str
    updated_at: str
    on_sale: bool
    labels: Labels = field(compare=False)

    def document(self) -> Document:
        """The JSON document that is indexed: every field but the labels."""
        return {
            "sku": self.sku,
            "title": self.title,
            "brand": self.brand,
            "category": self.category,
            "category_path": self.category_path,
            "price": self.price,
            "stock": self.stock,
            "attributes": self.attributes,
            "description": self.description,
            "updated_at": self.updated_at,
            "on_sale": self.on_sale,
        }
