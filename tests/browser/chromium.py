"""Debian's own Chromium, driven by Playwright; and a page that notices all that should not happen on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, sync_playwright

from tests.testbed.cluster.prerequisites import BROWSER_PACKAGE_OF, ensure_prerequisites, program
from tests.testbed.cluster.toolchain import Progress

# For what is waited for in a page; a busy machine draws slowly.
PATIENCE_MS = 20_000


@contextmanager
def chromium(progress: Progress) -> Iterator[Browser]:
    """A headless Chromium; Debian's packages are installed where they lack and we may (TestbedError otherwise)."""
    ensure_prerequisites(progress, BROWSER_PACKAGE_OF)
    # Chromium refuses to make its sandbox as root.
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=flags, headless=True)
        try:
            yield browser
        finally:
            browser.close()


class Complaints:
    """What a page's console calls an error, exceptions of its scripts, dialogs, and requests to other hosts."""

    def __init__(self, page: Page, base: str) -> None:
        self.console: list[str] = []
        self.exceptions: list[str] = []
        self.dialogs: list[str] = []
        self.elsewhere: list[str] = []
        page.on(
            "console", lambda message: self.console.append(message.text) if message.type == "error" else None
        )
        page.on("pageerror", lambda error: self.exceptions.append(str(error)))

        def dismiss(dialog: object) -> None:
            self.dialogs.append(str(dialog))
            dialog.dismiss()  # type: ignore[attr-defined]

        page.on("dialog", dismiss)
        page.on(
            "request",
            lambda request: None if request.url.startswith(base) else self.elsewhere.append(request.url),
        )

    def all(self) -> list[str]:
        """Everything, but that the browser itself reports answers of 4xx and 5xx on its console."""
        told = [text for text in self.console if not text.startswith("Failed to load resource")]
        return [*told, *self.exceptions, *self.dialogs, *self.elsewhere]
