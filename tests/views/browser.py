"""A real browser for the tests of the page, one for all of them; without it they are skipped, loudly."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ringproof.views.page import render_page
from ringproof.views.scene import Scene

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

Scheme = Literal["light", "dark"]


class Opened:
    """A page in a browser, with what it complained of and asked for; both must be empty when it closes."""

    def __init__(self, browser: Browser, file: Path, scheme: Scheme, width: int, script: bool) -> None:
        """Nothing is loaded before :meth:`visit`."""
        self.context = browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            java_script_enabled=script,
            bypass_csp=False,
        )
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(5_000)
        self.file = file
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def visit(self, place: str = "") -> Page:
        """Open the page at a place such as "#step=2"."""
        self.page.goto(self.file.as_uri() + place)
        return self.page

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.context.close()
        if kind is None:
            assert self.complaints == []
            assert {url.split("#")[0] for url in self.requests} <= {self.file.as_uri()}


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("NOT TESTED: the page in a browser, for there is no chromium here (apt install chromium)")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def opens(browser: Browser, tmp_path: Path) -> Open:
    """Writes the page of a scene and opens it: ``opens(scene, scheme="dark", width=390, script=False)``."""

    def opened(scene: Scene, scheme: Scheme = "light", width: int = 1280, script: bool = True) -> Opened:
        file = tmp_path / "trace.html"
        file.write_text(render_page(scene), encoding="utf-8")
        return Opened(browser, file, scheme, width, script)

    return opened
