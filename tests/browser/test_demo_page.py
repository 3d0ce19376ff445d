"""Who opens the address that the demo prints finds the quickstart's job in it, live."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from ..demo.conftest import Demo
from ..demo.conftest import start as start
from .conftest import shoot


def test_the_address_that_the_demo_prints_shows_its_job_live(start: Callable[..., Demo], page: Page) -> None:
    demo = start()
    demo.until(lambda text: "Token" in text and "step " in text)
    address = re.search(r"Watch it at\s+(\S+)", demo.text)
    token = re.search(r"Token\s+(\S+)", demo.text)
    assert address is not None
    assert token is not None
    page.goto(address[1])
    page.fill("input[name=password]", token[1])
    page.click("#login_submit")
    widget = page.locator("section.tl").first
    expect(widget).to_have_attribute("data-status", re.compile("running|completed"), timeout=60_000)
    widget.scroll_into_view_if_needed()
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 20", timeout=60_000)
    shoot(page, "demo-page")
    demo.until(lambda text: "JupyterLab goes on" in text)
    expect(widget).to_have_attribute("data-status", "completed")
    demo.interrupt()
    assert demo.end() == 130
    assert demo.is_gone()
