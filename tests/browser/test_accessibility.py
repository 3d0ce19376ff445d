"""For everyone: contrast and names as axe-core checks them, the keyboard alone, little room, and no motion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from ..real_server import RealServer
from .conftest import REPOSITORY, execute, log_in, open_lab, open_notebook, run_all, shoot, theme, write_notebook
from .test_saved_notebooks import save

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


@pytest.fixture(scope="module")
def jobs(lab: RealServer) -> Iterator[dict[str, str]]:
    """One that runs and one that has failed, by their names."""
    ids = {"rich": lab.submit(RICH, name="rich"), "broken": lab.submit(FAILED, name="broken")}
    lab.until(ids["rich"], lambda job: job["current_step"] == 119)
    lab.wait(ids["broken"], "failed")
    yield ids
    with lab.http() as http:
        http.post(f"api/training/jobs/{ids['rich']}/cancel")


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
    page.set_viewport_size({"width": 2000, "height": 1500})
    open_notebook(page, lab, write_notebook(lab, "axe.ipynb", SHOW.format(jobs["rich"])))
    execute(page, "trainlive:show-jobs")
    run_all(page)
    notebook = page.locator(".jp-OutputArea section.tl")
    expect(notebook).to_have_attribute("data-status", "running", timeout=60_000)
    save(page)
    # Beside each other, so that nothing is hidden from it.
    failed, job = open_job(page, jobs["broken"]), open_job(page, jobs["rich"])
    execute(page, "trainlive:new-finetune")
    form = page.locator(".tl-form")
    expect(form.get_by_role("button", name="Dry run")).to_be_visible()
    execute(page, "trainlive:compare", job_ids=[jobs["rich"], jobs["broken"]])
    comparison = page.locator("section.tl-compare")
    expect(comparison.get_by_role("table")).to_contain_text("Last values")
    page.evaluate(
        """() => {
          const { shell } = window.jupyterapp, [notebook, failed, job, form, comparison] = [...shell.widgets('main')]
          shell.add(failed, 'main', { mode: 'split-bottom', ref: notebook.id })
          shell.add(job, 'main', { mode: 'split-right', ref: notebook.id })
          shell.add(form, 'main', { mode: 'split-right', ref: failed.id })
          shell.add(comparison, 'main', { mode: 'split-right', ref: form.id })
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
        failed_tab = f"#trainlive-{jobs['broken']}"
        others = (".tl-panel", ".jp-OutputArea section.tl", failed_tab, ".tl-form", "section.tl-compare")
        wrong += [f"{name}: {finding}" for finding in findings(page, rules, *others)]
        for tab, words in TABS.items():
            job.get_by_role("tab", name=tab).click()
            expect(job.get_by_role("tabpanel", name=tab)).to_contain_text(words)
            wrong += [f"{name}, {tab}: {found}" for found in findings(page, rules, f"#trainlive-{jobs['rich']}")]
        for what, where in opened(page, job):
            if where == MENU:
                wrong += [f"{name}, {what}: {found}" for found in page.locator(MENU).evaluate(PALE)]
            if where != MENU or not rules:
                wrong += [f"{name}, {what}: {found}" for found in findings(page, rules, where)]
    wrong += in_notebook_7(page, lab, "notebooks/axe.ipynb", THEMES[0], ".jp-OutputArea section.tl")
    wrong += in_notebook_7(page, lab, "tree", THEMES[1], ".tl-panel")
    assert not wrong, json.dumps(wrong, indent=1)


MENU = ".tl-menu:popover-open"
#: Text with too little contrast to a menu's ground: axe-core itself takes what floats above the page for hidden.
PALE = """menu => {
  const { Color, flattenColors, getContrast } = axe.commons.color
  const parsed = text => { const color = new Color(); color.parseString(text); return color }
  const ground = parsed(getComputedStyle(menu).backgroundColor)
  const contrast = e => getContrast(ground, flattenColors(parsed(getComputedStyle(e).color), ground))
  const said = [...menu.querySelectorAll('*')].filter(e => [...e.childNodes].some(({ data }) => data?.trim()))
  return said.filter(e => !(contrast(e) >= 4.5)).map(e => `${contrast(e)} at ${e.outerHTML}`)
}"""


def opened(page: Page, job: Locator) -> Iterator[tuple[str, str]]:
    """What opens at a chart, one after the other: a name, and where it is."""
    job.get_by_role("tab", name="Curves").click()
    job.get_by_role("button", name="Charts and axes").click()
    yield "charts and axes", MENU
    options = job.get_by_role("button", name="Options of").first
    options.focus()
    page.keyboard.press("Enter")
    yield "options of a chart", MENU
    job.get_by_role("button", name="Data as a table").click()
    expect(job.get_by_role("table")).to_contain_text("rows, as drawn")
    yield "enlarged, with its table", ".tl-charts[data-enlarged]"
    page.keyboard.press("Escape")
    expect(job.locator("[data-enlarged]")).to_have_count(0)


def in_notebook_7(page: Page, lab: RealServer, path: str, chosen: str, surface: str) -> list[str]:
    settings = lab.home / "config" / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    (settings / "themes.jupyterlab-settings").write_text(json.dumps({"theme": chosen}))
    page.goto(lab.url + path)
    if path == "tree":
        page.get_by_role("tab", name="Training").click()
    page.wait_for_selector(f"body[data-jp-theme-name='{chosen}'] {surface} .tl-gauge")
    shoot(page, f"notebook-7-{path.split('/')[0]}")
    found = findings(page, (), surface)
    page.set_viewport_size({"width": 320, "height": 900})
    shown = page.locator(f"{surface}:visible")
    page.wait_for_function("e => e.clientWidth <= 320", arg=shown.element_handle())
    shoot(page, f"notebook-7-{path.split('/')[0]}-narrow")
    found += overflowing(shown)
    page.set_viewport_size({"width": 1400, "height": 1000})
    return found


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
          .filter(e => getComputedStyle(e).textOverflow !== 'ellipsis' && !e.closest('svg, .uplot, .tl-sr, .tl-state'))
          .map(e => e.outerHTML.slice(0, 160))"""
    )
    return wide


def use_a_chart(page: Page, job: Locator) -> None:
    """Point by point, nearer and farther, large and small, its menu and its table; the focus is where one left it."""
    job.get_by_role("tab", name="Curves").click()
    chart = job.get_by_role("slider", name="Chart of loss")
    chart.focus()
    page.keyboard.press("Home")
    expect(chart).to_have_attribute("aria-valuetext", re.compile("^step 1, loss 5.000"))
    page.keyboard.press("ArrowRight")
    expect(chart).to_have_attribute("aria-valuetext", re.compile("^step 2, "))
    page.keyboard.press("+")
    expect(job.get_by_role("button", name="Reset zoom")).to_be_visible()
    page.keyboard.press("-")
    page.keyboard.press("+")
    page.keyboard.press("0")
    expect(job.get_by_role("button", name="Reset zoom")).to_be_hidden()
    page.keyboard.press("Tab")
    menu = job.get_by_role("button", name="Options of loss")
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    expect(job.get_by_role("button", name="Enlarge")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(job.locator("[data-enlarged]")).to_have_count(1)
    expect(chart).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(job.get_by_role("region", name="Data of loss")).to_contain_text("as drawn")
    walk(page, job)
    chart.focus()
    page.keyboard.press("Escape")
    expect(job.locator("[data-enlarged]")).to_have_count(0)
    expect(chart).to_be_focused()


def ask_and_think_again(page: Page, job: Locator) -> None:
    """The question has the safe answer in focus, and gives the focus back."""
    cancel = job.get_by_role("button", name="Cancel…")
    cancel.focus()
    page.keyboard.press("Enter")
    expect(job.get_by_role("button", name="Keep going")).to_be_focused()
    page.keyboard.press("Escape")
    expect(cancel).to_be_focused()


def test_the_keyboard_comes_to_everything_and_little_room_is_enough(
    lab: RealServer, page: Page, jobs: dict[str, str]
) -> None:
    page.emulate_media(reduced_motion="reduce")
    log_in(page, lab)
    open_lab(page, lab)
    theme(page, "JupyterLab Light")
    execute(page, "trainlive:show-jobs")
    expect(page.locator(".tl-panel .tl-job").first).to_be_visible()
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
    use_a_chart(page, job)
    ask_and_think_again(page, job)
    page.evaluate("job_id => { window.jupyterapp.shell.activateById(`trainlive-${job_id}`) }", jobs["broken"])
    expect(failed).to_be_visible()
    walk(page, failed)
    execute(page, "trainlive:compare", job_ids=[jobs["rich"], jobs["broken"]])
    comparison = page.locator("section.tl-compare")
    expect(comparison.get_by_role("table")).to_contain_text("Last values")
    walk(page, comparison)
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
    for shown in (failed, form, comparison, job):
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


#: Counts its steps from one digit to four, is unstable once, and ends when it is let.
CHANGING = """
import os, time, jupyter_trainlive as t
while not os.path.exists("go"): time.sleep(0.05)
step = bad = 0
while not os.path.exists("end"):
    step += 1
    if os.path.exists("bad"):
        os.remove("bad")
        bad = step + 3
    loss = float("nan") if step < bad else 5 / step
    t.log({"loss": loss, "eval_loss": 6 / step, "own": 10.0 ** (step % 9)}, step=step, total_steps=20_000)
    time.sleep(0.003)
"""
#: What is spoken, and what moves by itself within an element.
WATCHED = """section => {
  window.spoken = []
  window.moved = []
  const region = section.querySelector('[role=status]')
  new MutationObserver(() => window.spoken.push(region.textContent)).observe(region, { childList: true })
  // A number at the end of its line grows towards its beginning: that moves nothing.
  const grows = ({ previousRect: was, currentRect: is }) => Math.abs(was.right - is.right) < 1 && was.top === is.top
  new PerformanceObserver(list => {
    for (const source of list.getEntries().flatMap(({ sources }) => sources))
      if (section.contains(source.node) && !grows(source)) window.moved.push(source.node.outerHTML ?? source.node.data)
  }).observe({ type: 'layout-shift' })
}"""


def test_numbers_change_without_moving_anything_and_only_changes_of_state_are_spoken(
    lab: RealServer, page: Page, tmp_path: Path
) -> None:
    log_in(page, lab)
    open_lab(page, lab)
    job_id = lab.submit(CHANGING, name="docs-sft", cwd=str(tmp_path))
    job = open_job(page, job_id)
    lab.wait(job_id, "running")
    expect(job).to_have_attribute("data-status", "running")
    (tmp_path / "go").touch()
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 20")
    expect(job.locator(".tl-gauge").first).to_be_visible()
    job.evaluate(WATCHED)
    page.wait_for_function("() => +document.querySelector('section.tl').dataset.points > 1100")
    assert page.evaluate("() => [window.moved, window.spoken]") == [[], []]
    (tmp_path / "bad").touch()
    expect(job.locator(".tl-alerts")).to_be_visible()
    region = job.get_by_role("status").first
    for button, words in (("Hold", "docs-sft: held at"), ("Resume", "docs-sft: Running")):
        job.get_by_role("button", name=button).click()
        expect(region).to_contain_text(words)
    (tmp_path / "end").touch()
    # The attribute tells it a frame before it is spoken.
    expect(region).to_contain_text("docs-sft: Completed")
    spoken = [text.removeprefix("docs-sft: ") for text in page.evaluate("() => window.spoken")]
    told = [text for text in spoken if text not in ("holding…", "Pausing")]
    assert len(told) == 4, told
    assert told[0].startswith("The loss was NaN")
    assert told[1].startswith("held at ")
    assert told[2:] == ["Running", "Completed"]
    shoot(page, "completed")
