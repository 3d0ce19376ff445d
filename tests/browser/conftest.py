"""A real JupyterLab and a real Chromium. Screenshots are kept in tests/screenshots."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Browser, Error, Page, expect, sync_playwright

from jupyter_trainlive.training.example import example

from ..real_server import TOKEN, RealServer, serve

REPOSITORY = Path(__file__).resolve().parents[2]
SCREENSHOTS = REPOSITORY / "tests" / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: What a person would not need: no sandbox for root, and no calls to the browser's maker.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

#: A machine with much to do takes its time; what is right is seen at once.
expect.set_options(timeout=20_000)


@pytest.fixture
def jp_asyncio_loop() -> None:
    """No loop of pytest-jupyter's: Playwright runs its own."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """No server of pytest-jupyter's either."""


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """JupyterLab with the quickstart in its root folder, and a model and data to fine-tune in `example`."""
    with serve_lab(tmp_path_factory.mktemp("lab")) as running:
        shutil.copy(REPOSITORY / "notebooks" / "quickstart.ipynb", running.home / "root")
        example(running.home / "root" / "example")
        yield running


@contextlib.contextmanager
def serve_lab(home: Path, **options: Any) -> Iterator[RealServer]:
    """JupyterLab as one finds it after the first day: it asks nothing."""
    settings = home / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    with serve(home, "--LabApp.expose_app_in_browser=True", module="jupyterlab", **options) as running:
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser a module: while Playwright is there its loop runs, and other tests have loops of their own."""
    installed = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A fresh page; what its scripts log as errors fails the test."""
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.set_default_timeout(30_000)
    errors: list[str] = []
    page.on("pageerror", lambda error: None if of_notebook(error) else errors.append(error.stack or str(error)))
    yield page
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"last-{request.node.name}.png")
    context.close()
    assert errors == []


def of_notebook(error: Error) -> bool:
    """Whether it is Notebook's own, with or without extensions: 7.6 reads its shortcuts before they are there, and
    opens a folder where a page has no files."""
    own = ("reading 'schema'", "'filebrowser:open-path' not registered")
    return any(words in error.message for words in own) and "/static/notebook/" in (error.stack or "")


def log_in(page: Page, server: RealServer) -> None:
    """As a person does: the token typed into the form, cookies from then on."""
    page.goto(server.url + "login")
    page.fill("input[name=password]", TOKEN)
    page.click("#login_submit")
    page.wait_for_load_state()


def open_lab(page: Page, server: RealServer, path: str = "lab?reset") -> None:
    """JupyterLab as nobody has used it; with `path` "lab" as it was left."""
    page.goto(server.url + path)
    # With a reset it loads itself once more.
    page.wait_for_function("() => !location.search.includes('reset') && window.jupyterapp?.restored.then(() => true)")


def open_notebook(page: Page, server: RealServer, name: str) -> None:
    log_in(page, server)
    show_notebook(page, server, name)


def show_notebook(page: Page, server: RealServer, name: str) -> None:
    """A notebook in JupyterLab, with its kernel ready; for who is logged in."""
    open_lab(page, server, f"lab/tree/{name}?reset")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.revealed")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.ready")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
    )


def execute(page: Page, command: str, **args: object) -> None:
    """Start one of JupyterLab's commands; what it shows is to be waited for."""
    page.evaluate("([command, args]) => { void window.jupyterapp.commands.execute(command, args) }", [command, args])


def run_all(page: Page) -> None:
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells') }")


def theme(page: Page, name: str) -> None:
    # JupyterLab fails where its splash screen comes back, as with a new theme, while it still fades.
    page.wait_for_selector("#jupyterlab-splash", state="detached")
    page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: name })", name)
    light = "false" if "Dark" in name else "true"
    page.wait_for_selector(f"body[data-jp-theme-light={light}]", state="attached")
    page.wait_for_timeout(500)


def write_notebook(server: RealServer, name: str, *cells: str) -> str:
    """Put a notebook of code cells into a server's root folder; its name."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, server.home / "root" / name)
    return name


def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
