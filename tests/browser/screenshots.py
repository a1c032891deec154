"""`python -m tests.browser.screenshots`: the pictures of docs/gateway.md, of a real gateway over real stores."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, expect
from search_plane.release.policy import SearchPolicy

from tests.browser.chromium import PATIENCE_MS, chromium
from tests.browser.shop_bed import ShopBed, shop_bed
from tests.integration.gateway_bed import GatewayProcess
from tests.testbed.plane import wait_until
from tests.testbed.stores.local import LocalElasticsearch, LocalMilvus
from tests.testbed.weights.bge import bge_weights

PRODUCTS = 2000
# The pictures show what is shown, whatever else the machine does meanwhile.
PATIENT = {f"{part}_timeout_ms": 5_000 for part in ("encoder", "milvus", "es", "total")}
POLICY = SearchPolicy(synonyms=("便宜, 实惠, 平价, 性价比高", "老人, 中老年, 长辈"))
DESK = (1280, 900)
PHONE = (390, 844)
DEFAULT_FOLDER = Path(__file__).parents[2] / "docs" / "images"


def say(message: str) -> None:
    """Progress."""
    print(message, file=sys.stderr, flush=True)


def picture(
    browser: Browser,
    url: str,
    file: Path,
    size: tuple[int, int] = DESK,
    scheme: Literal["dark", "light"] = "light",
    act: Callable[[Page], None] = lambda _page: None,
) -> None:
    """One screenshot of the address, after `act`."""
    viewport = {"width": size[0], "height": size[1]}
    context = browser.new_context(viewport=viewport, color_scheme=scheme, locale="zh-CN")  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(url)
    page.locator(".hit, .start, .failed").first.wait_for()
    act(page)
    expect(page.locator("#shown")).not_to_have_attribute("aria-busy", "true")
    page.screenshot(path=file, animations="disabled")
    context.close()
    say(f"{file} ({file.stat().st_size >> 10} KiB)")


def _first_opened(page: Page) -> None:
    page.locator(".title").first.click()


def _first_twin(page: Page) -> None:
    page.locator(".column.fused .title").first.hover()


def take(browser: Browser, bed: ShopBed, folder: Path, home: Path) -> None:
    """All pictures into the folder."""
    url = bed.gateway.url
    bed.gateway.mount_policy(POLICY.to_json())
    wait_until(
        "the gateway to follow the policy",
        lambda: bed.gateway.search("手机").json()["policy"] == POLICY.revision(),
    )
    # The first answers of a process are slow ones; none of these is asked for in a picture, so none is cached.
    for number in range(60):
        bed.gateway.search(f"手机 {number}", mode=None, facets=True, highlight=True)
    picture(browser, f"{url}/?q=便宜的小米蓝芽耳机", folder / "page-search.png", act=_first_opened)
    picture(browser, f"{url}/?q=小米手机充电器&mode=compare", folder / "page-compare.png", act=_first_twin)
    picture(browser, f"{url}/?q=适合送老人的保健品&in_stock=true", folder / "page-phone.png", size=PHONE)
    picture(browser, f"{url}/?q=适合送老人的保健品", folder / "page-dark.png", scheme="dark")
    bed.encoder.kill()
    wait_until(
        "the gateway to notice that the encoder is gone",
        lambda: bed.gateway.search("蓝牙耳机 配件", mode=None).json().get("degraded") == ["semantic"],
    )
    picture(browser, f"{url}/?q=降噪蓝牙耳机", folder / "page-degraded.png")
    with GatewayProcess(home / "without-release") as fresh:
        picture(browser, f"{fresh.url}/?q=蓝牙耳机", folder / "page-unavailable.png", size=(1280, 420))


def main() -> int:
    """Starts everything, takes the pictures, ends everything."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.browser.screenshots", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, default=DEFAULT_FOLDER, help="folder (default: docs/images)")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="page-screenshots-") as temporary,
        chromium(say) as browser,
        LocalElasticsearch() as elasticsearch,
        LocalMilvus() as milvus,
        shop_bed(
            bge_weights(), elasticsearch.url, milvus.uri, Path(temporary), PRODUCTS, PATIENT, villain=False
        ) as bed,
    ):
        take(browser, bed, folder, Path(temporary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
