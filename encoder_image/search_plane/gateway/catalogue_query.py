"""What the catalogue is asked for a query's words: the query, its facets, and the marks on a page of hits. Pure."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from search_plane.gateway.filters import Clause, Filters, brand_clause
from search_plane.gateway.index_fields import IndexFields
from search_plane.understanding.measures import same_measures
from search_plane.understanding.understood import Understood

# Weights of what a product can match; tuned on the judged set, docs/relevance.md.
TITLE_BOOST: Final = 1.0
CATEGORY_BOOST: Final = 2.0
BRAND_WORDS_BOOST: Final = 2.0
MORE_BOOST: Final = 1.0
ALL_WORDS_BOOST: Final = 2.0
FUZZY_BOOST: Final = 0.3
WHOLE_BOOST: Final = 8.0
SAME_MEANING_BOOST: Final = 0.8
# What was typed before it was corrected: a wrong guess still finds it.
TYPED_BOOST: Final = 0.2
BRAND_BOOST: Final = 6.0
KIND_BOOST: Final = 30.0
OF_KIND_BOOST: Final = 1.0
DESCRIPTION_BOOST: Final = 0.5
# What is left of the score of another model than the one that is asked for.
OTHER_MODEL_SHARE: Final = 0.6
PRICE_SHARE: Final = 0.25
# Of more than two words at least half: a long sentence has words that say nothing.
_MATCHING: Final = "2<50%"
# One letter of four, two of nine; the first letter is rarely wrong, and so few terms are tried.
_FUZZINESS: Final = {"fuzziness": "AUTO:4,9", "prefix_length": 1, "max_expansions": 20}
# Yuan at which a price is half as cheap as one can be, and half as dear.
_CHEAP_SCALE: Final = 150.0
_DEAR_ORIGIN: Final = 5000.0

FACET_VALUES: Final = 20
# Ends of the price facet's ranges, in the catalogue's unit.
PRICE_STEPS: Final = (50, 100, 200, 500, 1000, 3000)


def words_query(
    understood: Understood, fields: IndexFields, filters: Filters, base_filter: str = ""
) -> Clause:
    """Elasticsearch's query for an understood query: what its words match, within the filters.

    `base_filter` is the catalogue's own Lucene query string; "" for none.
    """
    return _priced(
        _words(understood, fields, _restrictions(filters, fields, base_filter)), understood, fields
    )


def words_search(
    understood: Understood,
    fields: IndexFields,
    filters: Filters,
    base_filter: str,
    size: int,
    facets: bool,
) -> dict[str, Any]:
    """The body of a search for `size` products' ids and scores, with facets when they are wanted.

    A facet counts what would be found without its own restriction, so that another brand can be chosen beside one.
    """
    body: dict[str, Any] = {"size": size, "_source": False}
    if not facets:
        return body | {"query": words_query(understood, fields, filters, base_filter)}
    own = filters.clauses(fields)
    body["query"] = words_query(understood, fields, Filters(), base_filter)
    body["aggs"] = _facets(fields, own)
    if own:
        body["post_filter"] = {"bool": {"filter": list(own.values())}}
    return body


def marks_search(
    understood: Understood, fields: IndexFields, ids: Sequence[str], base_filter: str
) -> dict[str, Any]:
    """The body of a search for the marked titles of a page's products, whichever side found them."""
    unmarked = Understood(
        text=understood.text,
        rest=understood.rest,
        brands=understood.brands,
        whole=understood.whole,
        alternatives=understood.alternatives,
    )
    marked = {"bool": {"should": _wordings(unmarked, fields)}}
    names = [fields.title, *fields.title_more]
    return {
        "size": len(ids),
        "_source": False,
        "query": {"bool": {"filter": [{"ids": {"values": list(ids)}}, *_lucene(base_filter)]}},
        "highlight": {
            # The title's own marks first; those of its other analyses where it has none.
            "fields": [{name: {"number_of_fragments": 0}} for name in names],
            "highlight_query": marked,
            "pre_tags": [MARK_BEGINS],
            "post_tags": [MARK_ENDS],
            "require_field_match": False,
        },
    }


# Private-use characters, which no title has: whoever shows a title escapes it first and then makes marks of them.
MARK_BEGINS: Final = "\ue000"
MARK_ENDS: Final = "\ue001"


def told_facets(aggregations: Mapping[str, Any]) -> dict[str, Any]:
    """Facets as callers get them, from the aggregations that `words_search` asked for."""

    def buckets(name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = aggregations.get(name, {}).get("values", {}).get("buckets", [])
        return found

    return {
        "brand": [{"value": one["key"], "count": one["doc_count"]} for one in buckets("brand")],
        "category": [{"value": one["key"], "count": one["doc_count"]} for one in buckets("category")],
        "price": [
            {"from": one.get("from"), "to": one.get("to"), "count": one["doc_count"]}
            for one in buckets("price")
        ],
        "in_stock": int(aggregations.get("in_stock", {}).get("values", {}).get("doc_count", 0)),
    }


def _facets(fields: IndexFields, own: Mapping[str, Clause]) -> dict[str, Clause]:
    steps = [None, *PRICE_STEPS, None]
    ranges = [
        {end: value for end, value in (("from", low), ("to", high)) if value is not None}
        for low, high in pairwise(steps)
    ]
    wanted: dict[str, Clause] = {"in_stock": {"filter": {"range": {fields.stock: {"gt": 0}}}}}
    if fields.price_is_number:
        wanted["price"] = {"range": {"field": fields.price, "ranges": ranges}}
    for name, exact in (("brand", fields.brand_exact), ("category", fields.category_exact)):
        if exact is not None:
            wanted[name] = {"terms": {"field": exact, "size": FACET_VALUES}}
    restricted = {"in_stock": "stock"}
    return {
        name: {
            "filter": {
                "bool": {"filter": [clause for by, clause in own.items() if by != restricted.get(name, name)]}
            },
            "aggs": {"values": facet},
        }
        for name, facet in wanted.items()
    }


def _words(understood: Understood, fields: IndexFields, restrictions: list[Clause]) -> Clause:
    wordings = _wordings(understood, fields)
    if understood.fitting:
        restrictions = [*restrictions, _fitting(understood, fields)]
    query: dict[str, Any] = {
        "must": [{"bool": {"should": wordings, "minimum_should_match": 1}}],
        "filter": restrictions,
    }
    unwanted = [_phrase(word, fields, 1.0) for word in understood.excluded]
    if understood.excluded_brands:
        unwanted.append(brand_clause(understood.excluded_brands, fields))
    if unwanted:
        query["must_not"] = unwanted
    if not understood.other_models:
        return {"bool": query}
    others = [_phrase(name, fields, 1.0) for name in understood.other_models]
    negative = {"bool": {"should": others, "minimum_should_match": 1}}
    return {
        "boosting": {"positive": {"bool": query}, "negative": negative, "negative_boost": OTHER_MODEL_SHARE}
    }


def _of_kinds(understood: Understood, fields: IndexFields) -> list[Clause]:
    """Products of the kinds that are likely meant match by their category alone, and by any word beside it."""
    if fields.category_exact is None or not understood.kinds:
        return []
    wordings: list[Clause] = [
        {
            "constant_score": {
                "filter": {"term": {fields.category_exact: category}},
                "boost": KIND_BOOST * share,
            }
        }
        for category, share in understood.kinds
    ]
    likely = {"terms": {fields.category_exact: [category for category, _ in understood.kinds]}}
    any_word = {"match": {fields.title: {"query": understood.text, "boost": OF_KIND_BOOST}}}
    return [*wordings, {"bool": {"must": [any_word], "filter": [likely]}}]


def _fitting(understood: Understood, fields: IndexFields) -> Clause:
    """Of the brand, or named in the title as what it fits."""
    names = [clause for name in understood.fitting for clause in _says(name, fields)]
    return {"bool": {"should": [brand_clause(understood.brands, fields), *names], "minimum_should_match": 1}}


def _wordings(understood: Understood, fields: IndexFields) -> list[Clause]:
    """All by which a product can match; the more, the better."""
    text = understood.text
    by_word = [f"{fields.title}^{TITLE_BOOST}", f"{fields.category_words}^{CATEGORY_BOOST}"]
    by_word.append(f"{fields.brand_words}^{BRAND_WORDS_BOOST}")
    by_word += [f"{name}^{MORE_BOOST}" for name in fields.title_more]
    wordings: list[Clause] = [
        {
            "multi_match": {
                "query": text,
                "fields": by_word,
                "minimum_should_match": _MATCHING,
                "tie_breaker": 0.3,
                "lenient": True,
            }
        },
        {"match": {fields.title: {"query": text, "operator": "and", "boost": ALL_WORDS_BOOST}}},
        {
            "match": {
                fields.title: {
                    "query": text,
                    "minimum_should_match": _MATCHING,
                    "boost": FUZZY_BOOST,
                    **_FUZZINESS,
                }
            }
        },
    ]
    if fields.description is not None:
        described = {"query": text, "minimum_should_match": _MATCHING, "boost": DESCRIPTION_BOOST}
        wordings.append({"match": {fields.description: described}})
    for name in understood.whole:
        # iphone 15 is iphone15 too.
        spellings = dict.fromkeys((name, name.replace(" ", ""), *same_measures(name)))
        written = [_phrase(one, fields, WHOLE_BOOST) for one in spellings]
        wordings.append(written[0] if len(written) == 1 else {"dis_max": {"queries": written}})
    wordings += _of_kinds(understood, fields)
    typed = {(one.meant, one.written) for one in understood.corrections}
    for words in understood.alternatives:
        less = TYPED_BOOST if words in typed else SAME_MEANING_BOOST
        same = [_phrase(words[0], fields, 1.0), *(_phrase(word, fields, less) for word in words[1:])]
        wordings.append({"dis_max": {"queries": same}})
    if understood.brands:
        wordings.append({"constant_score": {"filter": _named(understood, fields), "boost": BRAND_BOOST}})
    return wordings


def _named(understood: Understood, fields: IndexFields) -> Clause:
    """Products of the brands, and those whose titles name them: what fits a phone is another maker's."""
    of_brand = brand_clause(understood.brands, fields)
    if not understood.brand_spellings:
        return of_brand
    in_title = [clause for name in understood.brand_spellings for clause in _says(name, fields)]
    return {"bool": {"should": [of_brand, *in_title], "minimum_should_match": 1}}


def _says(name: str, fields: IndexFields) -> list[Clause]:
    """The title holds the name: a Chinese one as its analyzer cuts it, or in characters (适配小米14: 适 配 小 米 14)."""
    as_cut: list[Clause] = [{"match_phrase": {fields.title: name}}]
    if name.isascii():
        return as_cut
    return [*as_cut, {"match_phrase": {fields.title: {"query": name, "analyzer": "standard"}}}]


def _phrase(text: str, fields: IndexFields, boost: float) -> Clause:
    """The words of a text side by side, in the title or as the category."""
    return {
        "multi_match": {
            "query": text,
            "type": "phrase",
            "fields": [fields.title, fields.category_words, *fields.title_more],
            "boost": boost,
            "lenient": True,
        }
    }


def _priced(query: Clause, understood: Understood, fields: IndexFields) -> Clause:
    """Prefers what is cheap, or dear, by at most PRICE_SHARE of a score: words count more than the price."""
    if understood.price is None or not fields.price_is_number:
        return query
    if understood.price == "low":
        preference = {"exp": {fields.price: {"origin": 0, "scale": _CHEAP_SCALE, "decay": 0.5}}}
    else:
        preference = {
            "linear": {fields.price: {"origin": _DEAR_ORIGIN, "scale": _DEAR_ORIGIN / 2, "decay": 0.5}}
        }
    return {
        "function_score": {
            "query": query,
            "functions": [{"weight": 1.0}, {**preference, "weight": PRICE_SHARE}],
            "score_mode": "sum",
            "boost_mode": "multiply",
        }
    }


def _restrictions(filters: Filters, fields: IndexFields, base_filter: str) -> list[Clause]:
    return [*_lucene(base_filter), *filters.elasticsearch(fields)]


def _lucene(base_filter: str) -> list[Clause]:
    return [{"query_string": {"query": base_filter}}] if base_filter else []
