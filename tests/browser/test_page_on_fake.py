"""The page in a real Chromium, in front of a fake gateway: states that real parts take rarely, one at a time."""

from __future__ import annotations

import re
from itertools import count

import pytest
from fastapi import Response
from playwright.sync_api import Browser, Page, expect
from search_plane.gateway.answer import Answer

from tests.browser.conftest import Opened
from tests.browser.fake_gateway import Asked, FakeGateway, answer, as_json, hit
from tests.testbed.plane import wait_until

CANARY = "<img src=x onerror=\"alert('canary')\"><script>alert('canary')</script><b>粗</b>"
RANKS = {"semantic": ["a", "b", "c"], "keyword": ["d", "b", "a"], "fused": ["a", "b", "e"]}


def titles(page: Page) -> list[str]:
    return page.locator(".hit .title").all_inner_texts()


def test_the_first_page_offers_queries_and_asks_nothing(fake: FakeGateway, open_page: Opened) -> None:
    page = open_page(fake.url)
    expect(page.get_by_role("searchbox", name="搜索商品")).to_be_focused()
    expect(page.locator(".start")).to_be_visible()
    assert fake.asked == []
    page.get_by_role("link", name="小米手机充电器").click()
    expect(page.locator(".hit")).to_have_count(1)
    assert [asked.get("q") for asked in fake.asked] == ["小米手机充电器"]


def test_an_answer_is_shown_whole(fake: FakeGateway, open_page: Opened) -> None:
    hits = [
        hit(
            1,
            highlight="漫步者 无线\ue000蓝牙耳机\ue001 1 号",
            scores={"semantic": 0.81, "fused": 0.0161},
        ),
        hit(2, price=1999.5, stock=0),
        hit(
            3,
            price=None,
            stock=None,
            brand=None,
            title=["蓝牙耳机", "无线耳机"],
            highlight="旧的\ue000标题\ue001",
        ),
    ]
    understood = {
        "text": "便宜 蓝牙耳机",
        "brands": ["小米"],
        "brand_certain": True,
        "alternatives": [["便宜", "实惠", "性价比高"]],
        "corrections": [{"written": "蓝芽", "meant": "蓝牙"}],
        "excluded": ["入耳"],
        "whole": ["Type-C"],
        "price": "low",
    }
    told = answer(hits, understood=understood, total_words=1234, reranked=True, arm="fused", dropped=2)
    fake.answers = lambda _asked: as_json(told)
    page = open_page(fake.url, "/?q=便宜的蓝芽耳机")
    expect(page.locator(".badge")).to_have_text(["融合", "已精排", "实验组：融合"])
    assert titles(page) == ["漫步者 无线蓝牙耳机 1 号", "漫步者 无线蓝牙耳机 2 号", "蓝牙耳机、无线耳机"]
    # An older title's highlight is left out.
    assert page.locator("mark").all_inner_texts() == ["蓝牙耳机"]
    assert page.locator(".price").all_inner_texts() == ["¥90.00", "¥1,999.50", "价格未知"]
    assert page.locator(".stock").all_inner_texts() == ["有货 120", "缺货", "库存未知"]
    summary = page.locator(".summary").inner_text()
    for part in ("1,234", "2 件已下架", "13.6 ms", "编码 4.1", "r-1a2b3c4d", "9f2c6d0e0f0a"):
        assert part in summary
    facts = page.locator(".understood").inner_text()
    for part in ("蓝芽 → 蓝牙", "小米", "便宜 = 实惠、性价比高", "入耳", "Type-C", "偏低"):
        assert part in facts
    bars = page.locator(".bars i")
    assert bars.count() == 4
    box = [bar.bounding_box() for bar in bars.all()]
    widths = [each["width"] for each in box if each]
    # As long as they took: 4.1, 6.2, 8.0, 2.7 of 13.6 ms.
    assert widths[2] / widths[0] == pytest.approx(8.0 / 4.1, rel=0.05)
    expect(page.get_by_role("status")).to_have_text("找到商品，第 1 到 3 件")


def test_the_fakes_plain_answer_is_a_gateways() -> None:
    assert Answer.model_validate(answer([hit(1)])).hits[0].title == hit(1)["title"]


def test_an_answer_with_only_the_oldest_fields_is_shown(fake: FakeGateway, open_page: Opened) -> None:
    fake.answers = lambda _asked: as_json({"hits": [{"id": "1", "rank": 1, "score": 0.5}]})
    page = open_page(fake.url, "/?q=大米")
    assert titles(page) == ["（没有标题）"]


@pytest.mark.parametrize(
    ("degraded", "told"),
    [
        ("semantic", "语义检索没有应答"),
        ("keyword", "关键词检索没有应答"),
        ("catalogue", "价格是上次刷新时的"),
        ("vectors", "缺了一部分"),
    ],
)
def test_what_is_missing_is_said(fake: FakeGateway, open_page: Opened, degraded: str, told: str) -> None:
    stored = degraded == "catalogue"
    fake.answers = lambda _asked: as_json(answer([hit(1, stored=stored)], degraded=[degraded]))
    page = open_page(fake.url, "/?q=大米")
    expect(page.locator(".badge.degraded")).to_have_text("降级")
    expect(page.locator(".notice")).to_contain_text(told)
    expect(page.locator(".price abbr")).to_have_count(int(stored))


def test_text_of_the_catalogue_and_of_the_query_is_never_markup(fake: FakeGateway, open_page: Opened) -> None:
    everywhere = hit(1, id=CANARY, title=CANARY, brand=CANARY, category=CANARY, price=CANARY, stock=CANARY)
    marked = hit(2, title=CANARY, highlight=f"\ue000{CANARY}\ue001")
    understood = {
        "brands": [CANARY],
        "alternatives": [[CANARY, CANARY]],
        "corrections": [{"written": CANARY, "meant": CANARY}],
    }
    facets = {"brand": [{"value": CANARY, "count": 3}], "category": [{"value": CANARY, "count": 3}]}
    fake.answers = lambda _asked: as_json(
        answer(
            [everywhere, marked],
            understood=understood,
            facets=facets,
            release=CANARY,
            arm=CANARY,
            path=CANARY,
            degraded=[CANARY],
        )
    )
    page = open_page(fake.url, "/")
    page.get_by_role("searchbox").fill(CANARY)
    page.keyboard.press("Enter")
    expect(page.locator(".hit")).to_have_count(2)
    assert titles(page) == [CANARY, CANARY]
    assert page.locator("mark").all_inner_texts() == [CANARY]
    page.locator(".hit .title").first.click()
    assert page.locator("main img, main script, main b >> text=粗").count() == 0
    assert fake.asked[0].get("q") == CANARY
    page.reload()
    expect(page.locator(".hit")).to_have_count(2)
    expect(page.get_by_role("searchbox")).to_have_value(CANARY)
    # `open_page` fails the test for any dialog, exception or refused script.


def test_the_browser_itself_refuses_markup_from_text(fake: FakeGateway, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(fake.url)
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; return ''; } catch (error) { return error.name; } }"
    )
    page.close()
    assert refused == "TypeError"


def test_a_click_is_told_once_and_its_failure_to_nobody(fake: FakeGateway, open_page: Opened) -> None:
    fake.clicks_status = 500
    fake.answers = lambda _asked: as_json(answer([hit(1), hit(2)]))
    page = open_page(fake.url, "/?q=蓝牙耳机")
    second = page.locator(".hit .title").nth(1)
    second.click()
    expect(second).to_have_attribute("aria-expanded", "true")
    expect(page.locator(".hit").nth(1).locator(".details")).to_contain_text("SKU-000002")
    second.click()
    expect(second).to_have_attribute("aria-expanded", "false")
    second.click()
    wait_until("the click", lambda: bool(fake.clicks), 20)
    page.locator(".hit .title").nth(0).click()
    wait_until("the other click", lambda: len(fake.clicks) == 2, 20)
    assert fake.clicks == [
        {"search_id": "request-1", "id": "SKU-000002", "rank": 2},
        {"search_id": "request-1", "id": "SKU-000001", "rank": 1},
    ]
    expect(page.locator(".failed")).to_have_count(0)


def test_a_visit_keeps_its_key_and_a_comparison_has_none(fake: FakeGateway, open_page: Opened) -> None:
    page = open_page(fake.url, "/?q=一")
    expect(page.locator(".hit")).to_have_count(1)
    page.goto(f"{fake.url}/?q=二")
    expect(page.locator(".hit")).to_have_count(1)
    keys = {asked.headers["x-session-key"] for asked in fake.asked}
    assert len(keys) == 1
    assert re.fullmatch(r"[0-9a-f]{32}", keys.pop())
    page.goto(f"{fake.url}/?q=三&mode=compare")
    expect(page.locator(".column .hit")).to_have_count(3)
    assert all("x-session-key" not in asked.headers for asked in fake.asked[2:])
    page.locator(".column .title").first.click()
    expect(page.locator(".column .details").first).to_be_visible()
    assert fake.clicks == []


def test_facets_and_filters_go_into_the_query_and_the_address(fake: FakeGateway, open_page: Opened) -> None:
    facets = {
        "brand": [{"value": "小米", "count": 12}, {"value": "漫步者", "count": 7}],
        "category": [{"value": "数码/耳机", "count": 15}],
    }
    fake.answers = lambda _asked: as_json(answer([hit(1)], facets=facets))
    page = open_page(fake.url, "/?q=蓝牙耳机&offset=10")
    brands = page.get_by_role("group", name="品牌")
    expect(brands.locator(".many")).to_have_text(["12", "7"])
    with page.expect_response(re.compile("brand=")):
        brands.get_by_role("checkbox", name="小米").check()
    with page.expect_response(re.compile("brand=.*brand=")):
        brands.get_by_role("checkbox", name="漫步者").check()
    # Who filters by keyboard stays where they were.
    expect(brands.get_by_role("checkbox", name="漫步者")).to_be_focused()
    with page.expect_response(re.compile("category=")):
        page.get_by_role("group", name="类目").get_by_role("radio", name="数码/耳机").check()
    with page.expect_response(re.compile("in_stock=true")):
        page.get_by_role("checkbox", name="只看有货").check()
    page.get_by_role("textbox", name="最低价").fill("50")
    page.get_by_role("textbox", name="最高价").fill("199.5")
    with page.expect_response(re.compile("price_max")):
        page.keyboard.press("Enter")
    last = fake.asked[-1]
    assert last.all("brand") == ["小米", "漫步者"]
    assert {
        name: last.get(name) for name in ("category", "in_stock", "price_min", "price_max", "offset")
    } == {
        "category": "数码/耳机",
        "in_stock": "true",
        "price_min": "50",
        "price_max": "199.5",
        "offset": "",
    }
    assert (last.get("facets"), last.get("highlight")) == ("true", "true")
    # The address alone gives the same page.
    shared = open_page(fake.url, page.url.removeprefix(fake.url))
    expect(shared.get_by_role("group", name="品牌").get_by_role("checkbox", name="漫步者")).to_be_checked()
    assert fake.asked[-1].parameters == last.parameters
    page.get_by_role("button", name="清除筛选").click()
    expect(page.get_by_role("group", name="品牌").get_by_role("checkbox", name="小米")).not_to_be_checked()
    page.go_back()
    expect(page.get_by_role("textbox", name="最低价")).to_have_value("50")
    # A new query starts without the old one's filters.
    page.get_by_role("searchbox").fill("大米")
    with page.expect_response(re.compile("q=%E5%A4%A7")):
        page.keyboard.press("Enter")
    assert fake.asked[-1].get("price_min") == ""


def test_a_price_range_is_chosen_and_left_by_its_button(fake: FakeGateway, open_page: Opened) -> None:
    price = [
        {"from": None, "to": 50, "count": 3},
        {"from": 50, "to": 100.5, "count": 21},
        {"from": 100.5, "to": None, "count": 0},
    ]
    fake.answers = lambda _asked: as_json(answer([hit(1)], facets={"price": price, "in_stock": 33}))
    page = open_page(fake.url, "/?q=蓝牙耳机")
    expect(page.locator("#in-stock-count")).to_have_text("33")
    ranges = page.get_by_role("list", name="价格区间").get_by_role("button")
    # An empty one is not offered.
    expect(ranges).to_have_count(2)
    with page.expect_response(re.compile("price_min=50&price_max=100.5")):
        ranges.nth(1).click()
    expect(ranges.nth(1)).to_have_attribute("aria-pressed", "true")
    ranges.nth(1).click()
    expect(ranges.nth(1)).to_have_attribute("aria-pressed", "false")
    assert (fake.asked[-1].get("price_min"), fake.asked[-1].get("price_max")) == ("", "")


def test_a_chosen_filter_stays_although_no_facet_names_it(fake: FakeGateway, open_page: Opened) -> None:
    page = open_page(fake.url, "/?q=大米&brand=福临门")
    expect(page.get_by_role("group", name="品牌").get_by_role("checkbox", name="福临门")).to_be_checked()


def test_paging(fake: FakeGateway, open_page: Opened) -> None:
    def paged(asked: Asked) -> Response:
        first = int(asked.get("offset") or 0) + 1
        return as_json(answer([hit(rank) for rank in range(first, min(first + int(asked.get("k")), 25))]))

    fake.answers = paged
    page = open_page(fake.url, "/?q=蓝牙耳机")
    expect(page.get_by_role("button", name="上一页")).to_be_disabled()
    page.get_by_role("button", name="下一页").click()
    expect(page.locator(".hit .rank").first).to_have_text("11")
    expect(page.locator("[aria-current=page]")).to_have_text("第 2 页")
    page.get_by_role("button", name="下一页").click()
    expect(page.locator(".hit")).to_have_count(4)
    expect(page.get_by_role("button", name="下一页")).to_be_disabled()
    page.go_back()
    expect(page.locator(".hit .rank").first).to_have_text("11")
    page.get_by_role("combobox", name="每页").select_option("20")
    expect(page.locator(".hit")).to_have_count(20)
    assert (fake.asked[-1].get("k"), fake.asked[-1].get("offset")) == ("20", "")


def test_comparison_marks_where_ranks_differ(fake: FakeGateway, open_page: Opened) -> None:
    def three_ways(asked: Asked) -> Response:
        ids = RANKS[asked.get("mode")]
        hits = [hit(rank, id=name, title=f"商品 {name}") for rank, name in enumerate(ids, start=1)]
        return as_json(answer(hits, path=asked.get("mode")))

    fake.answers = three_ways
    page = open_page(fake.url, "/?q=蓝牙耳机")
    page.get_by_role("radio", name="对比").check(force=True)
    columns = page.locator(".column")
    expect(columns).to_have_count(3)
    assert [text.split()[0] for text in columns.locator("h2").all_inner_texts()] == ["语义", "关键词", "融合"]
    assert sorted(asked.get("mode") for asked in fake.asked[1:]) == ["fused", "keyword", "semantic"]

    def marks(column: int, row: int) -> list[str]:
        return columns.nth(column).locator(".hit").nth(row).locator(".elsewhere").all_inner_texts()

    assert marks(0, 0) == ["关键词 #3 ▲2", "融合 #1 ＝"]
    assert marks(1, 2) == ["语义 #1 ▼2", "融合 #1 ▼2"]
    assert marks(1, 0) == ["仅此列", "语义 无", "融合 无"]
    assert marks(2, 2) == ["仅此列", "语义 无", "关键词 无"]
    columns.nth(0).locator(".title").first.focus()
    expect(page.locator(".twin")).to_have_count(3)
    assert page.url.endswith("mode=compare")


def test_one_column_of_a_comparison_may_fail(fake: FakeGateway, open_page: Opened) -> None:
    def without_words(asked: Asked) -> Response:
        if asked.get("mode") == "keyword":
            return as_json(
                {"error": "Elasticsearch did not answer in time", "field": "elasticsearch"},
                503,
                Retry_After="2",
            )
        return as_json(answer([hit(1)], path=asked.get("mode")))

    fake.answers = without_words
    page = open_page(fake.url, "/?q=蓝牙耳机&mode=compare")
    expect(page.locator(".column.keyword .failed")).to_contain_text("商品库没有应答")
    expect(page.locator(".column.fused .hit")).to_have_count(1)


def test_unavailable_counts_down_and_asks_again(fake: FakeGateway, open_page: Opened) -> None:
    calls = count()

    def first_away(_asked: Asked) -> Response:
        if next(calls) == 0:
            return as_json({"error": "there is no release yet", "field": "release"}, 503, Retry_After="2")
        return as_json(answer([hit(1)]))

    fake.answers = first_away
    page = open_page(fake.url, "/?q=大米")
    alert = page.get_by_role("alert").filter(has_text="暂时答不了")
    expect(alert).to_contain_text("还没有发布任何版本")
    expect(alert).to_contain_text("秒后自动重试")
    expect(page.locator(".hit")).to_have_count(1)
    assert len(fake.asked) == 2


def test_it_does_not_ask_for_ever(fake: FakeGateway, open_page: Opened) -> None:
    fake.answers = lambda _asked: as_json({"error": "no", "field": "encoder"}, 503, Retry_After="1")
    page = open_page(fake.url, "/?q=大米")
    # One, and five automatic ones a second apart; then only a person asks on.
    expect(page.locator(".wait")).to_have_text("不再自动重试")
    assert len(fake.asked) == 6
    page.get_by_role("button", name="现在重试").click()
    wait_until("it to ask again", lambda: len(fake.asked) >= 7, 20)


@pytest.mark.parametrize(
    ("field", "label"), [("q", "搜索商品"), ("price_min", "最低价"), ("price_max", "最高价")]
)
def test_a_refused_field_is_shown_where_it_is(
    fake: FakeGateway, open_page: Opened, field: str, label: str
) -> None:
    fake.answers = lambda _asked: as_json({"error": f"{field} is wrong", "field": field}, 400)
    page = open_page(fake.url, "/?q=大米&price_min=x&price_max=y")
    box = page.get_by_label(label, exact=True)
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_be_focused()
    expect(page.get_by_role("alert").filter(has_text=f"{field} is wrong")).to_be_visible()


def test_too_deep_leads_back(fake: FakeGateway, open_page: Opened) -> None:
    def shallow(asked: Asked) -> Response:
        if asked.get("offset"):
            return as_json({"error": "offset + k must be at most 100", "field": "offset"}, 400)
        return as_json(answer([hit(rank) for rank in range(1, 11)]))

    fake.answers = shallow
    page = open_page(fake.url, "/?q=大米&offset=100")
    page.get_by_role("button", name="回到第一页").click()
    expect(page.locator(".hit")).to_have_count(10)


@pytest.mark.parametrize("content", [b"<html>proxy", b'{"no": "hits"}', b'{"hits": 3}', b"null", b"\xff\xfe"])
def test_what_is_no_answer_is_not_shown_as_one(fake: FakeGateway, open_page: Opened, content: bytes) -> None:
    fake.answers = lambda _asked: Response(content, 200)
    page = open_page(fake.url, "/?q=大米")
    expect(page.locator(".failed")).to_be_visible()
    expect(page.locator(".hit")).to_have_count(0)


def test_a_gateway_that_goes_away_is_said(fake: FakeGateway, open_page: Opened) -> None:
    page = open_page(fake.url)
    page.route("**/search?*", lambda route: route.abort("connectionrefused"))
    page.get_by_role("searchbox").fill("大米")
    page.keyboard.press("Enter")
    expect(page.locator(".failed")).to_contain_text("连不上")
    page.unroute("**/search?*")
    page.get_by_role("button", name="现在重试").click()
    expect(page.locator(".hit")).to_have_count(1)


def test_no_hits(fake: FakeGateway, open_page: Opened) -> None:
    fake.answers = lambda _asked: as_json(answer([]))
    page = open_page(fake.url, "/?q=大米&in_stock=true")
    expect(page.locator(".nothing")).to_contain_text("筛选条件下没有商品")
    page.get_by_role("button", name="清除筛选").first.click()
    expect(page.locator(".nothing")).to_contain_text("没有找到")


def test_a_late_answer_to_an_earlier_query_is_not_shown(fake: FakeGateway, open_page: Opened) -> None:
    page = open_page(fake.url)
    held: list[object] = []
    page.route(re.compile("q=%E6%85%A2"), lambda route: held.append(route))
    box = page.get_by_role("searchbox")
    box.fill("慢")
    page.keyboard.press("Enter")
    page.wait_for_function("document.title.startsWith('慢')")
    box.fill("快")
    page.keyboard.press("Enter")
    expect(page.locator(".hit")).to_have_count(1)
    assert [asked.get("q") for asked in fake.asked] == ["快"]
    assert page.title().startswith("快")


def test_all_works_by_keyboard(fake: FakeGateway, open_page: Opened) -> None:
    fake.answers = lambda _asked: as_json(answer([hit(1), hit(2)]))
    page = open_page(fake.url)
    page.keyboard.type("蓝牙耳机")
    page.keyboard.press("Enter")
    expect(page.locator(".hit")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = page.locator(".hit .title").nth(1)
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(second).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(second).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("/")
    box = page.get_by_role("searchbox")
    expect(box).to_be_focused()
    assert page.evaluate("getSelection().toString()") == "蓝牙耳机"
    # The modes are one group of radio buttons: arrows choose.
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="默认")).to_be_focused()
    with page.expect_response(re.compile("mode=fused")):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="融合")).to_be_focused()


def test_every_control_has_a_name(fake: FakeGateway, open_page: Opened) -> None:
    facets = {"brand": [{"value": "小米", "count": 12}], "category": [{"value": "数码/耳机", "count": 15}]}
    fake.answers = lambda _asked: as_json(answer([hit(rank) for rank in range(1, 11)], facets=facets))
    page = open_page(fake.url, "/?q=蓝牙耳机")
    expect(page.locator(".hit")).to_have_count(10)
    controls = page.locator("a[href], button, input, select, summary, [role]").all()
    assert len(controls) > 25
    tree = page.locator("body").aria_snapshot()
    for role in (
        "link",
        "button",
        "checkbox",
        "radio",
        "textbox",
        "combobox",
        "searchbox",
        "navigation",
    ):
        lines = [line.strip() for line in tree.splitlines() if re.match(rf"\s*- {role}\b", line)]
        assert lines, role
        assert all('"' in line or ": " in line for line in lines), (role, lines)
    assert page.locator("html").get_attribute("lang") == "zh-CN"


@pytest.mark.parametrize("address", ["/", "/?q=蓝牙耳机", "/?q=蓝牙耳机&mode=compare"])
@pytest.mark.parametrize("width", [360, 800])
def test_nothing_sticks_out_of_a_narrow_screen(
    fake: FakeGateway, open_page: Opened, address: str, width: int
) -> None:
    long = hit(1, title="超长" * 500, brand="B" * 200, category="C" * 200)
    facets = {"brand": [{"value": "品" * 100, "count": 3}]}
    fake.answers = lambda _asked: as_json(answer([long, hit(2)], facets=facets))
    page = open_page(fake.url, address, width=width, height=720)
    expect(page.locator(".hit, .start").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
