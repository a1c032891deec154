"""Queries with the truth about which products answer them, read off the labels and never off the text."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sample_catalogue.product import Labels, PriceBand, Product

BUDGET, PREMIUM = PriceBand.BUDGET, PriceBand.PREMIUM


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A query and its judge: `exact` products get grade 2, others of `related` grade 1, the rest 0."""

    text: str
    exact: Callable[[Product], bool]
    related: Callable[[Product], bool]

    def grade(self, product: Product) -> int:
        """How well the product answers the query: 2 exactly, 1 somewhat, 0 not at all."""
        if self.exact(product):
            return 2
        return 1 if self.related(product) else 0


def _is(*product_types: str) -> Callable[[Product], bool]:
    return lambda product: product.labels.product_type in product_types


def _kind(product_type: str, wanted: Callable[[Labels], bool]) -> Callable[[Product], bool]:
    return lambda product: product.labels.product_type == product_type and wanted(product.labels)


def _supplement_for_the_old(product: Product) -> bool:
    # what the old need at home but nobody gives as a supplement is in the same department
    supplements = product.labels.department == "医药保健" and product.category != "成人纸尿裤"
    return supplements and product.labels.audience == "老人"


def _charger_for_xiaomi(product: Product) -> bool:
    return product.labels.product_type == "手机充电器" and "小米:品牌" in product.labels.meanings


def _gift_for_the_old(product: Product) -> bool:
    return product.labels.audience == "老人" and "送礼" in product.labels.intents


JUDGED_QUERIES: tuple[JudgedQuery, ...] = (
    JudgedQuery("便宜的蓝牙耳机", _kind("蓝牙耳机", lambda its: its.price_band is BUDGET), _is("蓝牙耳机")),
    JudgedQuery("适合送老人的保健品", _supplement_for_the_old, _gift_for_the_old),
    JudgedQuery("小米手机充电器", _charger_for_xiaomi, _is("手机充电器")),
    JudgedQuery("熬粥的小米", _is("小米"), _is("大米")),
    JudgedQuery("五常大米", _is("大米"), _is("小米")),
    JudgedQuery("脆甜的苹果", _is("苹果"), _is("车厘子")),
    JudgedQuery(
        "苹果手机",
        lambda product: product.labels.product_type == "智能手机" and product.brand == "苹果",
        _is("智能手机"),
    ),
    JudgedQuery(
        "土豪专属降噪耳机", _kind("蓝牙耳机", lambda its: its.price_band is PREMIUM), _is("蓝牙耳机")
    ),
    JudgedQuery("爸妈用的大字手机", _is("老人手机"), _is("智能手机")),
    JudgedQuery("给爷爷奶奶泡脚的盆", _is("足浴盆"), _is("颈椎按摩仪")),
    JudgedQuery(
        "学生党性价比高的平板",
        _kind("平板电脑", lambda its: its.price_band is BUDGET),
        _is("平板电脑"),
    ),
    JudgedQuery("宝宝辅食米粉", _is("婴儿米粉"), _is("婴儿奶粉")),
    JudgedQuery("三只松树坚果", lambda product: product.brand == "三只松鼠", _is("坚果礼盒")),
    JudgedQuery("量血压的仪器", _is("血压计"), _is("血糖仪")),
)
"""The use case's three queries first; then meanings, colloquialisms, synonyms and a slip."""


def judgements(products: Iterable[Product]) -> list[dict[str, object]]:
    """What the gates' judged queries are made of: each query with the grade of every product that answers it.

    `{"query": "便宜的蓝牙耳机", "relevant": {"<sku>": 2, ...}}`; a query that no product answers is left out.
    """
    relevant: dict[str, dict[str, int]] = {query.text: {} for query in JUDGED_QUERIES}
    for product in products:
        for query in JUDGED_QUERIES:
            if grade := query.grade(product):
                relevant[query.text][product.sku] = grade
    return [{"query": text, "relevant": grades} for text, grades in relevant.items() if grades]
