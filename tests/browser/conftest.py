"""Headless Chromium for the tests of pages: the system's own, driven by Playwright, cut off from every network."""

import os
import shutil
from pathlib import Path

import pytest

from econ_env.app.report import write_report
from tests.econ_env.app.report.made_runs import add_training, make_run

NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser():
    """Chromium; a test run without it fails, since the marker `browser` asks for it."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.fail("Chromium is missing: apt-get install chromium, or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])  # CI often runs as root
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Opens a page; afterwards fails the test if it reported an error or asked for anything but its own file."""
    contexts, complaints = [], []

    def open_(path: Path, fragment: str = "", *, refused_ok: bool = False, **options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: _check(request.url, path, complaints))
        if not refused_ok:
            page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        page.goto(path.as_uri() + fragment)
        page.wait_for_selector("#browser[data-ready]")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def _check(url: str, path: Path, complaints: list[str]) -> None:
    if url.partition("#")[0] != path.as_uri() and not url.startswith(("data:", "blob:")):
        complaints.append(f"asked for {url}")


@pytest.fixture(scope="session")
def report(tmp_path_factory):
    """A report of 60 problems and three methods."""
    folder = make_run(tmp_path_factory.mktemp("browser") / "logs", 60)
    add_training(folder)
    return write_report([folder])


HOSTILE = (
    '<img src=x onerror="window.evil=1">'
    "</script><script>window.evil=1</script>"
    "<a href=\"javascript:window.evil=1\">javascript:window.evil=1</a>"
    r" \(\href{javascript:window.evil=1}{x}\) \(\text{<img src=x onerror=window.evil=1>}\)"
    " [link](javascript:window.evil=1) {{ evil }} ${window.evil=1} <svg onload=window.evil=1>"
)  # fmt: skip


@pytest.fixture(scope="session")
def hostile_report(tmp_path_factory):
    """A report of a run in which every text tries to be more than text."""
    said = dict.fromkeys(("question", "strategy", "reply", "commitment", "gold", "kind", "error"), HOSTILE)
    methods = (("single", 1, 1), (HOSTILE, 3, 3))
    folder = tmp_path_factory.mktemp("hostile") / "<b onclick=window.evil=1>logs"
    return write_report([make_run(folder, 3, said=said, methods=methods, config={"note": HOSTILE})])
