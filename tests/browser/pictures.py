"""The README's pictures, of real fine-tunes in a real JupyterLab. `python -m tests.browser.pictures` makes them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect, sync_playwright

from jupyter_trainlive.training.example import example

from ..real_server import RealServer
from .conftest import BROWSERS, FLAGS, REPOSITORY, execute, log_in, open_lab, run_all, serve_lab, show_notebook, theme

PICTURES = REPOSITORY / "notebooks" / "pictures"
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}
WIDE = {"width": 1280, "height": 800}
RATES = (3e-3, 1e-3, 3e-4)

FAILING = """
import torch, jupyter_trainlive as trainlive
rows, classes = torch.randn(64, 16), torch.randint(0, 4, (64,))
layer = torch.nn.Linear(16, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
for step in range(1, 201):
    # The last of the four classes is one too many for the layer, and comes late.
    loss = torch.nn.functional.cross_entropy(layer(rows), classes if step > 120 else classes.clamp(max=2))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    trainlive.log({"loss": loss.item()}, step=step, total_steps=200)
"""


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home, serve_lab(Path(home)) as lab, chromium() as page:
        shutil.copy(REPOSITORY / "notebooks" / "quickstart.ipynb", lab.home / "root")
        example(lab.home / "root" / "trainlive-example")
        tuned = []
        for rate in RATES:
            tuned.append(fine_tune(lab, rate))
            lab.wait(tuned[-1], timeout=600)
        failed = lab.submit(FAILING, name="classifier-head")
        lab.wait(failed)
        log_in(page, lab)

        open_lab(page, lab)
        execute(page, "trainlive:compare", job_ids=tuned)
        expect(page.locator("section.tl-compare canvas").first).to_be_visible()
        take(page, "comparison")

        open_lab(page, lab)
        execute(page, "trainlive:open-job", job_id=failed)
        expect(page.locator("section.tl")).to_have_attribute("data-live", "ended")
        take(page, "failed")

        open_lab(page, lab)
        execute(page, "trainlive:new-finetune", values=parameters(3e-3))
        page.get_by_role("button", name="Dry run").click()
        report = page.get_by_role("region", name="Dry run")
        expect(report).to_contain_text("rows", timeout=120_000)
        report.scroll_into_view_if_needed()
        take(page, "form")

        show_notebook(page, lab, "quickstart.ipynb")
        execute(page, "application:toggle-left-area")
        run_all(page)
        page.wait_for_function("() => +document.querySelector('section.tl')?.dataset.points > 80")
        page.evaluate("() => document.querySelector('section.tl').closest('.jp-Cell').scrollIntoView()")
        take(page, "notebook")
        execute(page, "trainlive:show-jobs")
        execute(page, "trainlive:open-job", job_id=lab.http().get("api/training/jobs").json()["jobs"][0]["job_id"])
        take(page, "lab")


@contextmanager
def chromium() -> Iterator[Page]:
    installed = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed, args=FLAGS)
        page = browser.new_context(viewport=WIDE).new_page()  # type: ignore[arg-type]
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def parameters(rate: float) -> dict[str, Any]:
    return {
        "model_name": "trainlive-example/model",
        "dataset_path": "trainlive-example/text.jsonl",
        "name": f"tiny-llama lr {rate:g}",
        "num_train_epochs": 2,
        "per_device_train_batch_size": 16,
        "learning_rate": rate,
        "warmup_steps": 20,
        "max_length": 128,
        "eval_split": 0.1,
        "eval_steps": 25,
    }


def fine_tune(lab: RealServer, rate: float) -> str:
    answer = lab.http().post("api/training/execute", json=parameters(rate))
    answer.raise_for_status()
    return str(answer.json()["job_id"])


def take(page: Page, name: str) -> None:
    for kind, style in THEMES.items():
        theme(page, style)
        page.mouse.move(1, 1)
        page.wait_for_timeout(1500)
        page.screenshot(path=PICTURES / f"{name}-{kind}.png")
    theme(page, THEMES["light"])


if __name__ == "__main__":
    main()
