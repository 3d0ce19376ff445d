"""For everyone: contrast and names as axe-core checks them, the keyboard alone, little room, and no motion."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import REPOSITORY, log_in, open_lab, open_notebook, run_all, shoot, theme, write_notebook

AXE = REPOSITORY / "js" / "node_modules" / "axe-core" / "axe.min.js"
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")
#: The tabs of a job, with what is on them once all has come.
TABS = {"Curves": "own", "Log": "colour 7", "Files": "config.json", "Settings": "packages", "Alerts": "3 logs in a row"}
#: Has something on each of its tabs, in every colour that output may have, and waits.
RICH = r"""
import os, pathlib, time
import jupyter_trainlive as t
job = pathlib.Path(os.environ["TRAINLIVE_JOB_DIR"])
(job / "artifacts" / "model").mkdir(parents=True)
(job / "artifacts" / "model" / "config.json").write_text("{}")
for color in range(8):
    print(f"\x1b[{30 + color}m colour {color} \x1b[0m \x1b[{90 + color}m bright {color} \x1b[0m")
for step in range(1, 120):
    loss = float("nan") if step in (61, 62, 63) else 5 / step ** 0.5
    t.log({"loss": loss, "eval_loss": 6 / step, "grad_norm": 1 / step, "own": step}, step=step, total_steps=400)
time.sleep(600)
"""
FAILED = "import jupyter_trainlive as t\nfor step in range(1, 40): t.log({'loss': 2 / step}, step=step)\n1 / 0"
SHOW = "import jupyter_trainlive as t\nt.get({!r})"


@pytest.fixture
def jobs(lab: RealServer) -> Iterator[dict[str, str]]:
    """One that runs and one that has failed, by their names."""
    ids = {"rich": lab.submit(RICH, name="rich"), "broken": lab.submit(FAILED, name="broken")}
    lab.until(ids["rich"], lambda job: job["current_step"] == 119)
    lab.wait(ids["broken"], "failed")
    yield ids
    with lab.http() as http:
        http.post(f"api/training/jobs/{ids['rich']}/cancel")


def execute(page: Page, command: str, **args: object) -> None:
    page.evaluate("([command, args]) => { void window.jupyterapp.commands.execute(command, args) }", [command, args])


def open_job(page: Page, job_id: str) -> Locator:
    execute(page, "trainlive:open-job", job_id=job_id)
    return page.locator(f"#trainlive-{job_id} section.tl")


def findings(page: Page, rules: tuple[str, ...], *selectors: str) -> list[str]:
    """What axe-core finds serious or critical in there, by these rules or, without any, by all of them."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text())
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    answer: dict[str, Any] = page.evaluate(
        "async ([include, options]) => await axe.run({ include }, options)", [list(selectors), options]
    )
    assert answer["passes"], "it has looked at something"
    return [
        f"{rule['id']} at {node['html'][:200]}: {node['failureSummary'][:300]}"
        for rule in answer["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]


def test_axe_finds_nothing_serious_on_any_surface_in_any_theme(
    lab: RealServer, page: Page, jobs: dict[str, str]
) -> None:
    page.set_viewport_size({"width": 1700, "height": 1400})
    open_notebook(page, lab, write_notebook(lab, "axe.ipynb", SHOW.format(jobs["rich"])))
    execute(page, "trainlive:show-jobs")
    run_all(page)
    notebook = page.locator(".jp-OutputArea section.tl")
    expect(notebook).to_have_attribute("data-status", "running", timeout=60_000)
    # Beside each other, so that nothing is hidden from it.
    failed, job = open_job(page, jobs["broken"]), open_job(page, jobs["rich"])
    execute(page, "trainlive:new-finetune")
    form = page.locator(".tl-form")
    expect(form.get_by_role("button", name="Dry run")).to_be_visible()
    page.evaluate(
        """() => {
          const { shell } = window.jupyterapp, [notebook, failed, job, form] = [...shell.widgets('main')]
          shell.add(failed, 'main', { mode: 'split-bottom', ref: notebook.id })
          shell.add(job, 'main', { mode: 'split-right', ref: notebook.id })
          shell.add(form, 'main', { mode: 'split-right', ref: failed.id })
        }"""
    )
    form.get_by_role("button", name="Start training").click()
    form.locator("summary").first.click()
    failed.get_by_text("Traceback", exact=True).click()
    wrong = []
    for name in THEMES:
        theme(page, name)
        # Nothing but colours differs from one theme to the next.
        rules = () if name == THEMES[0] else ("color-contrast",)
        shoot(page, f"everything-{name.removeprefix('JupyterLab ').lower().replace(' ', '-')}")
        others = (".tl-panel", ".jp-OutputArea section.tl", f"#trainlive-{jobs['broken']}", ".tl-form")
        wrong += [f"{name}: {finding}" for finding in findings(page, rules, *others)]
        for tab, words in TABS.items():
            job.get_by_role("tab", name=tab).click()
            expect(job.get_by_role("tabpanel", name=tab)).to_contain_text(words)
            wrong += [f"{name}, {tab}: {found}" for found in findings(page, rules, f"#trainlive-{jobs['rich']}")]
    assert not wrong, json.dumps(wrong, indent=1)


#: Those that the Tab key should come to, of what is on screen: of radio buttons the chosen one.
REACHABLE = """root => [...root.querySelectorAll(
    'a[href], button, input:not([type=radio]), input:checked, select, textarea, summary, [tabindex]')]
  .filter(e => e.tabIndex >= 0 && !e.disabled && e.checkVisibility({ visibilityProperty: true }))"""


#: Where the keyboard is: null where it has left, or is where it was before; else whether that can be seen.
STEP = """root => {
  const here = document.activeElement, style = getComputedStyle(here), box = here.getBoundingClientRect()
  if (!root.contains(here) || 'walked' in here.dataset) return null
  here.dataset.walked = ''
  const ring = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1) || style.boxShadow !== 'none'
  const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, innerHeight) / 2)
  return { html: here.outerHTML.slice(0, 120), ring, seen: top !== null && (here.contains(top) || top.contains(here)) }
}"""


def walk(page: Page, root: Locator) -> None:
    """Tab through it: everything is come to, in sight, with a ring around it."""
    root.evaluate("root => { root.tabIndex = -1; root.focus() }")
    page.keyboard.press("Tab")
    steps: list[dict[str, Any]] = []
    while step := root.evaluate(STEP):
        steps.append(step)
        page.keyboard.press("Tab")
    missed = root.evaluate(f"root => ({REACHABLE})(root).filter(e => !('walked' in e.dataset)).map(e => e.outerHTML)")
    root.evaluate("root => root.querySelectorAll('[data-walked]').forEach(e => { delete e.dataset.walked })")
    assert [step for step in steps if not (step["ring"] and step["seen"])] == []
    assert missed == [], steps[-1:]


def overflowing(root: Locator) -> list[str]:
    """What is cut off at the side, or has the whole be scrolled there."""
    wide: list[str] = root.evaluate(
        """root => [root, ...root.querySelectorAll('*')]
          .filter(e => e.clientWidth > 1 && e.scrollWidth > e.clientWidth + 1)
          .filter(e => !/auto|scroll/.test(getComputedStyle(e).overflowX) || e === root)
          .filter(e => getComputedStyle(e).textOverflow !== 'ellipsis' && !e.closest('svg, .uplot, .tl-sr'))
          .map(e => e.outerHTML.slice(0, 160))"""
    )
    return wide


def test_the_keyboard_comes_to_everything_and_little_room_is_enough(
    lab: RealServer, page: Page, jobs: dict[str, str]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    log_in(page, lab)
    open_lab(page, lab)
    execute(page, "trainlive:show-jobs")
    expect(page.locator(".tl-panel .tl-job").first).to_be_visible()
    expect(page.get_by_label("Search jobs")).to_be_focused()
    walk(page, page.locator(".tl-panel"))

    execute(page, "trainlive:new-finetune")
    form = page.locator(".tl-form")
    expect(form.get_by_role("button", name="Dry run")).to_be_visible()
    walk(page, form)
    failed, job = open_job(page, jobs["broken"]), open_job(page, jobs["rich"])
    for tab, words in TABS.items():
        job.get_by_role("tab", name=tab).click()
        expect(job.get_by_role("tabpanel", name=tab)).to_contain_text(words)
        walk(page, job)
    page.evaluate("job_id => { window.jupyterapp.shell.activateById(`trainlive-${job_id}`) }", jobs["broken"])
    expect(failed).to_be_visible()
    walk(page, failed)
    moving = page.evaluate(
        """() => [...document.querySelectorAll('.tl *')].filter(element => {
          const style = getComputedStyle(element)
          return element.checkVisibility() && /[1-9]/.test(style.transitionDuration + style.animationDuration)
        }).map(element => element.outerHTML)"""
    )
    assert moving == []

    # Of 400 pixels the lab's own bars take 80.
    page.set_viewport_size({"width": 400, "height": 900})
    page.evaluate("() => { window.jupyterapp.shell.collapseLeft(); window.jupyterapp.shell.collapseRight() }")
    for shown in (failed, form, job):
        page.evaluate(
            "id => { window.jupyterapp.shell.activateById(id) }", shown.evaluate("e => e.closest('.tl-tab').id")
        )
        expect(shown).to_be_visible()
        assert shown.evaluate("e => e.clientWidth") <= 320
        assert overflowing(shown.locator("xpath=ancestor::*[contains(@class, 'tl-tab')]")) == []
    for tab, words in TABS.items():
        job.get_by_role("tab", name=tab).click()
        expect(job.get_by_role("tabpanel", name=tab)).to_contain_text(words)
        shoot(page, f"job-320-{tab.lower()}")
        assert overflowing(job) == []
