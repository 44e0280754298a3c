"""A real browser for the tests of the page, one for all of them; without it they are skipped, loudly."""

import shutil
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request, sync_playwright

from ringproof.views.page import render_page
from ringproof.views.scene import Scene

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

Scheme = Literal["light", "dark"]


class Opened:
    """A page in a browser, with what it complained of and asked for; both must be empty when it closes."""

    def __init__(self, page: Page, file: Path) -> None:
        """Nothing is loaded before :meth:`visit`."""
        self.page = page
        self.file = file
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def visit(self, place: str = "") -> Page:
        """Open the page at a place such as "#step=2"."""
        self.page.goto(self.file.as_uri() + place)
        return self.page

    def _console(self, message: ConsoleMessage) -> None:
        self.complaints.append(message.text)

    def _error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def _dialog(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def __enter__(self) -> Self:
        self.page.on("console", self._console)
        self.page.on("pageerror", self._error)
        self.page.on("dialog", self._dialog)
        self.page.on("request", self._request)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self.page.remove_listener("console", self._console)
        self.page.remove_listener("pageerror", self._error)
        self.page.remove_listener("dialog", self._dialog)
        self.page.remove_listener("request", self._request)
        if kind is None:
            assert self.complaints == []
            assert {url.split("#")[0] for url in self.requests} == {self.file.as_uri()}


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip("NOT TESTED: the page in a browser, for there is no chromium here (apt install chromium)")
    with sync_playwright() as playwright:
        options = [
            "--no-sandbox",
            "--disable-dev-shm-usage",
        ]  # as root, too, and in a container
        try:
            found = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        except Error as error:
            pytest.skip(f"NOT TESTED: the page in a browser, for {CHROMIUM} does not start: {error.message}")
        yield found
        found.close()


class Looks:
    """A page for each scheme, width, and with or without scripts: to start one costs more than a test."""

    def __init__(self, browser: Browser) -> None:
        """No page is there before :meth:`page` asks for it."""
        self.browser = browser
        self.pages: dict[tuple[Scheme, int, bool], Page] = {}

    def page(self, scheme: Scheme, width: int, script: bool) -> Page:
        """The page that looks so."""
        look = (scheme, width, script)
        if look not in self.pages:
            self.pages[look] = self.browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme, java_script_enabled=script
            ).new_page()
            self.pages[look].set_default_timeout(10_000)
        return self.pages[look]


@pytest.fixture(scope="session")
def looks(browser: Browser) -> Looks:
    """The pages of this run."""
    return Looks(browser)


@pytest.fixture
def opens(looks: Looks, tmp_path: Path) -> Open:
    """Writes a page, or that of a scene, and opens it: ``opens(scene, "dark", width=390, script=False)``."""

    def opened(
        scene: Scene | str, scheme: Scheme = "light", width: int = 1280, script: bool = True
    ) -> Opened:
        file = tmp_path / f"trace-{next(numbers)}.html"
        file.write_text(scene if isinstance(scene, str) else render_page(scene), encoding="utf-8")
        return Opened(looks.page(scheme, width, script), file)

    numbers = count()
    return opened
