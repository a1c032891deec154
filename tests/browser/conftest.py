"""Fixtures of the page's tests: one browser, a page of its own for each test, real stores."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.chromium import PATIENCE_MS, Complaints, chromium
from tests.browser.fake_gateway import FakeGateway
from tests.testbed.stores.fixtures import elasticsearch_url, milvus_uri
from tests.testbed.weights.fixtures import tiny_encoder

__all__ = ["elasticsearch_url", "milvus_uri", "tiny_encoder"]

Opened = Callable[..., Page]


# Not for longer: Playwright keeps an event loop in this thread, within which no other test could run its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, once for a file of tests."""
    with chromium(lambda message: print(message, file=sys.stderr, flush=True)) as running:
        expect.set_options(timeout=PATIENCE_MS)
        yield running


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Opened]:
    """Opens an address of a gateway in a fresh profile; at the end nothing may have gone wrong on any page."""
    opened: list[tuple[Page, Complaints]] = []

    def go(base: str, path: str = "/", width: int = 1280, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, locale="zh-CN")
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        opened.append((page, Complaints(page, base)))
        page.goto(base + path)
        return page

    yield go
    complaints = [complaint for _, told in opened for complaint in told.all()]
    for page, _ in opened:
        page.context.close()
    assert complaints == []


@pytest.fixture
def fake() -> Iterator[FakeGateway]:
    """A fake gateway with the real page."""
    with FakeGateway() as gateway:
        yield gateway
