"""Queries with the truth about which products answer them, read off the labels and never off the text."""

from sample_catalogue.judging.judged import QUERY_CLASSES, JudgedQuery, Part, judged_queries, judgements
from sample_catalogue.judging.rules import Condition, Rule, RuleError

JUDGED_QUERIES = judged_queries()

__all__ = [
    "JUDGED_QUERIES",
    "QUERY_CLASSES",
    "Condition",
    "JudgedQuery",
    "Part",
    "Rule",
    "RuleError",
    "judged_queries",
    "judgements",
]
