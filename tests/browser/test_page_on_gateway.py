"""The page in a real Chromium, on a real gateway over a real encoder, Milvus and Elasticsearch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Opened
from tests.browser.shop_bed import VILLAIN_ID, VILLAIN_TITLE, ShopBed, shop_bed
from tests.integration.gateway_bed import GatewayProcess
from tests.testbed.plane import wait_until
from tests.testbed.weights.folder import WeightsFolder

pytestmark = pytest.mark.stores

# What is shown is asked here, not how fast: a busy machine gets its time.
PATIENT = {f"{part}_timeout_ms": 10_000 for part in ("encoder", "milvus", "es", "total")}
PRODUCTS = 300


@pytest.fixture(scope="module")
def bed(
    tiny_encoder: WeightsFolder,
    elasticsearch_url: str,
    milvus_uri: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ShopBed]:
    home = tmp_path_factory.mktemp("page-shop")
    with shop_bed(tiny_encoder, elasticsearch_url, milvus_uri, home, PRODUCTS, PATIENT) as running:
        yield running


def shown_ids(page: Page) -> list[str | None]:
    return [item.get_attribute("data-id") for item in page.locator(".hit").all()]


def test_a_search_shows_what_the_gateway_answers(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url)
    page.get_by_role("searchbox").fill("便宜的蓝牙耳机")
    with page.expect_response("**/search?*") as answered:
        page.keyboard.press("Enter")
    told = answered.value.json()
    expect(page.locator(".hit")).to_have_count(10)
    assert shown_ids(page) == [hit["id"] for hit in told["hits"]]
    for item, hit in zip(page.locator(".hit").all(), told["hits"], strict=True):
        assert item.locator(".title").inner_text() == hit["title"]
        assert item.locator(".brand").inner_text() == hit["brand"]
        assert item.locator(".price").inner_text().replace(",", "") == f"¥{hit['price']:.2f}"
    snapshot = bed.release.snapshot
    expect(page.locator(".release")).to_contain_text(snapshot.release)
    expect(page.locator(".release")).to_contain_text(snapshot.fingerprint.removeprefix("sha256:")[:12])


def test_price_and_stock_are_of_this_moment(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url, "/?q=适合送老人的保健品")
    expect(page.locator(".hit")).to_have_count(10)
    first = shown_ids(page)[0]
    assert first is not None
    before = bed.elasticsearch.get(index=bed.index, id=first)["_source"]
    bed.elasticsearch.update(index=bed.index, id=first, doc={"price": 4321.05, "stock": 0})
    try:
        page.get_by_role("button", name="搜索").click()
        item = page.locator(f'.hit[data-id="{first}"]')
        expect(item.locator(".price")).to_have_text("¥4,321.05")
        expect(item.locator(".stock")).to_have_text("缺货")
    finally:
        doc = {name: before[name] for name in ("price", "stock")}
        bed.elasticsearch.update(index=bed.index, id=first, doc=doc, refresh=True)


def test_a_villains_title_and_query_are_text(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url)
    page.get_by_role("searchbox").fill(VILLAIN_TITLE)
    page.keyboard.press("Enter")
    item = page.locator(f'.hit[data-id="{VILLAIN_ID}"]')
    expect(item.locator(".title")).to_have_text(VILLAIN_TITLE)
    expect(item.locator(".brand")).to_have_text("<u>黑店</u>")
    assert page.locator("main img, main script, main u").count() == 0


def test_a_bad_query_is_told_at_its_field(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url)
    page.get_by_role("searchbox").fill("米" * 257)
    page.keyboard.press("Enter")
    expect(page.get_by_role("searchbox")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert").filter(has_text="256")).to_be_visible()


def test_words_are_marked_in_titles(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url, "/?q=蓝牙耳机&mode=keyword")
    expect(page.locator(".badge.keyword")).to_be_visible()
    assert page.locator("mark").first.inner_text() == "蓝牙耳机"


def test_facets_narrow_the_search_as_they_counted(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url, "/?q=蓝牙耳机&mode=keyword&k=50")
    first = page.get_by_role("group", name="品牌").locator("label").first
    brand, many = first.locator(".value").inner_text(), int(first.locator(".many").inner_text())
    with page.expect_response("**/search?*brand=*"):
        first.locator("input").check()
    expect(page.locator(".hit")).to_have_count(min(many, 50))
    assert set(page.locator(".hit .brand").all_inner_texts()) == {brand}
    # Another brand can still be chosen beside it.
    expect(page.get_by_role("group", name="品牌").locator("label").nth(1)).to_be_visible()
    with page.expect_response("**/search?*in_stock=true*"):
        page.get_by_role("checkbox", name="只看有货").check()
    expect(page.locator(".stock.out")).to_have_count(0)
    page.get_by_role("textbox", name="最高价").fill("200")
    with page.expect_response("**/search?*price_max=200*"):
        page.keyboard.press("Enter")
    expect(page.locator("#shown")).not_to_have_attribute("aria-busy", "true")
    prices = [text.removeprefix("¥").replace(",", "") for text in page.locator(".price").all_inner_texts()]
    assert all(float(price) <= 200 for price in prices)


def test_pages_go_on_where_the_last_ended(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url, "/?q=高性价比手机")
    expect(page.locator(".hit")).to_have_count(10)
    first = shown_ids(page)
    page.get_by_role("button", name="下一页").click()
    expect(page.locator(".hit .rank").first).to_have_text("11")
    second = shown_ids(page)
    assert len(second) == 10
    assert set(first).isdisjoint(second)
    page.go_back()
    expect(page.locator(".hit .rank").first).to_have_text("1")
    assert shown_ids(page) == first


def test_the_depth_of_the_release_ends_the_pages(bed: ShopBed, open_page: Opened) -> None:
    top_k = bed.release.snapshot.top_k
    page = open_page(bed.gateway.url, f"/?q=高性价比手机&offset={top_k}")
    expect(page.locator(".failed")).to_contain_text("不能翻得这么深")
    page.get_by_role("button", name="回到第一页").click()
    expect(page.locator(".hit")).to_have_count(10)


def test_a_comparison_shows_all_three_ways(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url, "/?q=小米手机充电器&mode=compare")
    columns = {mode: page.locator(f".column.{mode}") for mode in ("semantic", "keyword", "fused")}
    ids = {}
    for mode, column in columns.items():
        expect(column.locator(".hit")).to_have_count(10)
        ids[mode] = [item.get_attribute("data-id") for item in column.locator(".hit").all()]
        asked = {"q": "小米手机充电器", "mode": mode, "k": "10"}
        told = httpx.get(f"{bed.gateway.url}/search", params=asked, timeout=10).json()
        assert (told["path"], [hit["id"] for hit in told["hits"]]) == (mode, ids[mode])
    for rank, item in enumerate(columns["fused"].locator(".hit").all()):
        marks = item.locator(".elsewhere").all_inner_texts()
        for mode, name in (("semantic", "语义"), ("keyword", "关键词")):
            told_rank = ids[mode].index(ids["fused"][rank]) + 1 if ids["fused"][rank] in ids[mode] else None
            wanted = f"{name} #{told_rank} " if told_rank else f"{name} 无"
            assert any(mark.startswith(wanted) for mark in marks), (rank, mode, marks)


def test_a_click_is_sent_to_the_gateway(bed: ShopBed, open_page: Opened) -> None:
    page = open_page(bed.gateway.url, "/?q=牛奶")
    with page.expect_request(f"{bed.gateway.url}/click") as sent:
        page.locator(".hit .title").first.click()
    assert sent.value.method == "POST"


def test_without_an_encoder_the_page_says_what_it_fell_back_to(bed: ShopBed, open_page: Opened) -> None:
    bed.encoder.kill()
    try:
        page = open_page(bed.gateway.url, "/?q=蓝牙耳机 配件")
        expect(page.locator(".badge.degraded")).to_be_visible()
        expect(page.locator(".badge.keyword")).to_have_text("关键词")
        expect(page.locator(".notice")).to_contain_text("语义检索没有应答")
        assert shown_ids(page)
    finally:
        bed.encoder.start()
        wait_until(
            "the gateway to answer by meaning again",
            lambda: bed.gateway.search("蓝牙耳机 配件", mode=None).json().get("degraded") == [],
        )


def test_a_page_that_waits_for_the_first_release_gets_it_by_itself(
    bed: ShopBed, open_page: Opened, tmp_path: Path
) -> None:
    with GatewayProcess(tmp_path, **PATIENT) as fresh:
        page = open_page(fresh.url, "/?q=蓝牙耳机")
        alert = page.get_by_role("alert").filter(has_text="暂时答不了")
        expect(alert).to_contain_text("还没有发布任何版本")
        expect(alert).to_contain_text("秒后自动重试")
        fresh.serve(bed.release.snapshot)
        expect(page.locator(".hit")).to_have_count(10)
