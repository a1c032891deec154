"""A made-up Chinese shop: product documents from hand-written vocabularies, the same for the same seed."""

from sample_catalogue.analyzers import best_analyzer
from sample_catalogue.changes import BadDocument, Change, ChangeKind, bad_documents, mutate
from sample_catalogue.clicks import DEFAULT_QUERIES, click_log
from sample_catalogue.generate import DEFAULT_COUNT, DEFAULT_SEED, generate
from sample_catalogue.index import apply_changes, index_definition, load
from sample_catalogue.judging import JUDGED_QUERIES, QUERY_CLASSES, JudgedQuery, judgements
from sample_catalogue.product import Document, Labels, PriceBand, Product

__all__ = [
    "DEFAULT_COUNT",
    "DEFAULT_QUERIES",
    "DEFAULT_SEED",
    "JUDGED_QUERIES",
    "QUERY_CLASSES",
    "BadDocument",
    "Change",
    "ChangeKind",
    "Document",
    "JudgedQuery",
    "Labels",
    "PriceBand",
    "Product",
    "apply_changes",
    "bad_documents",
    "best_analyzer",
    "click_log",
    "generate",
    "index_definition",
    "judgements",
    "load",
    "mutate",
]
