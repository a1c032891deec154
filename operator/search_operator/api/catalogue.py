"""The catalogue: which Elasticsearch holds the products, and what of a product is embedded."""

from typing import Annotated

from pydantic import Field

from search_operator.api.kubernetes import ObjectRef
from search_operator.api.schema import ApiModel, Cel, refused, rules
from search_operator.api.values import HttpEndpoint

FieldName = Annotated[
    str,
    Field(min_length=1, max_length=128),
    Cel(
        "self.matches('^[A-Za-z_@][A-Za-z0-9_.@-]*$')",
        "must be the name of a document field in ASCII letters, e.g. title",
    ),
]

_PLACEHOLDER = "[{][A-Za-z_][A-Za-z0-9_.]*[}]"
# Full-width braces alone: a template may well hold Chinese text and punctuation.
_WIDE_BRACES = r"[\uFF5B\uFF5D]"


class DocumentFields(ApiModel):
    """Names of the document's fields."""

    id: FieldName = "sku"
    """Unique id of a product."""
    title: FieldName = "title"
    """Title."""
    brand: FieldName = "brand"
    """Brand."""
    category: FieldName = "category"
    """Category."""
    price: FieldName = "price"
    """Price, shown with a hit."""
    stock: FieldName = "stock"
    """Stock, shown with a hit."""
    updated_at: FieldName = "updated_at"
    """When the document was last changed."""


class ManagedElasticsearch(ApiModel):
    """An Elasticsearch that the operator would run itself."""

    version: Annotated[str, Field(max_length=32)] | None = None
    """Version of Elasticsearch."""


class Elasticsearch(ApiModel):
    """An Elasticsearch and the index in it."""

    model_config = rules(
        Cel(
            "has(self.endpoint) || has(self.clusterRef) || has(self.managed)",
            "elasticsearch needs endpoint: write a URL, e.g. https://elasticsearch.stores.svc:9200",
            ".endpoint",
        ),
        Cel(
            "!has(self.caSecretRef) || !has(self.endpoint) || self.endpoint.startsWith('https://')",
            "caSecretRef needs an endpoint that starts with https://; remove caSecretRef or write https://",
            ".caSecretRef",
        ),
    )

    endpoint: HttpEndpoint | None = None
    """http or https URL."""
    cluster_ref: (
        Annotated[ObjectRef, refused("elasticsearch.clusterRef", instead="write endpoint instead")] | None
    ) = None
    """An Elasticsearch resource of this namespace; not served yet."""
    managed: (
        Annotated[ManagedElasticsearch, refused("elasticsearch.managed", instead="write endpoint instead")]
        | None
    ) = None
    """Run an Elasticsearch for this index; not served yet."""
    credentials_secret_ref: ObjectRef | None = None
    """Secret with username and password, or api_key; absent means no authentication."""
    ca_secret_ref: ObjectRef | None = None
    """Secret with ca.crt, the authority that signed the server's certificate."""
    index: Annotated[
        str,
        Field(min_length=1, max_length=255),
        Cel(
            "self.matches('^[a-z0-9.][a-z0-9._-]*$') && self != '.' && self != '..'",
            "must be one index or alias of Elasticsearch, no pattern or list: small ASCII letters, digits, "
            "dots, dashes",
        ),
    ]
    """Index or alias that holds the products."""
    fields: DocumentFields = DocumentFields()
    """Names of the document's fields."""
    text_template: Annotated[
        str,
        Field(min_length=1, max_length=512),
        Cel(
            f"!self.matches('{_WIDE_BRACES}')",
            "holds full-width braces; type placeholders in half width: {title}",
        ),
        Cel(
            f"self.matches('{_PLACEHOLDER}')",
            'names no field; write at least one placeholder in ASCII, e.g. "{brand} {title}"',
        ),
        Cel(
            f"self.matches('^([^{{}}]|{_PLACEHOLDER})*$')",
            "has braces that are no placeholder; write each field as {name} in ASCII, e.g. {brand} {title}",
        ),
    ] = "{brand} {title} {category}"
    """The text that is embedded for a product; placeholders are names of document fields."""
    filter: Annotated[
        str,
        Field(max_length=1024),
        Cel(
            "self == '' || self.trim() != ''",
            "is blank; write a Lucene query such as on_sale:true, or remove it",
        ),
    ] = ""
    """Lucene query string; only products that it matches are searchable. Empty means all."""


class Catalogue(ApiModel):
    """Where the products lie."""

    elasticsearch: Elasticsearch
    """An Elasticsearch."""
