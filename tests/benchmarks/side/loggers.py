"""How each of the competitors logs, by itself: functions that begin a run in a folder and return its `log`.

Runs in their environment, so it knows nothing of this package but its public face. Whatever a competitor does besides
logging scalars (system metrics, console capture) is switched off: that only makes it quicker.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

NAMES = ("loss", "grad_norm", "learning_rate", "epoch_loss", "samples_per_second", "step_time_seconds")

Log = Callable[[dict[str, float], int], object]


def values(step: int) -> dict[str, float]:
    """Six scalars, others at every step."""
    return {name: 1 / (step + place + 1.5) for place, name in enumerate(NAMES)}


def trainlive(folder: Path) -> Log:
    """This process is a job: its directory is in the environment."""
    import jupyter_trainlive

    log = jupyter_trainlive.log

    def call(values: dict[str, float], step: int) -> None:
        log(values, step=step)

    return call


def floor(folder: Path) -> Log:
    """The least that writes a line of JSON at all."""
    file = os.open(folder / "floor.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def call(values: dict[str, float], step: int) -> None:
        os.write(file, json.dumps({"seq": step, "t": time.time(), "step": step, "values": values}).encode() + b"\n")

    return call


def tensorboard(folder: Path) -> Log:
    """torch's SummaryWriter; it keeps what is logged for up to `flush_secs`, 120 by default."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder / "tb"), flush_secs=int(os.environ.get("BENCH_FLUSH_SECONDS", "120")))

    def call(values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    return call


def trackio(folder: Path) -> Log:
    import trackio

    run = trackio.init(project="bench", name="run", embed=False, auto_log_cpu=False, auto_log_gpu=False)
    return lambda values, step: run.log(values, step=step)


def wandb(folder: Path) -> Log:
    import wandb

    settings = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
    run = wandb.init(project="bench", mode="offline", dir=str(folder), settings=settings)
    return lambda values, step: run.log(values, step=step)


def mlflow(folder: Path) -> Log:
    """Its SQLite store, or the server that the environment names."""
    import mlflow

    mlflow.set_tracking_uri(os.environ.get("BENCH_MLFLOW", f"sqlite:///{folder}/mlflow.db"))
    mlflow.set_experiment("bench")
    run = mlflow.start_run(log_system_metrics=False)
    (folder / "mlflow-run").write_text(run.info.run_id)
    return lambda values, step: mlflow.log_metrics(values, step=step)


def aim(folder: Path) -> Log:
    from aim import Run

    run = Run(repo=str(folder), system_tracking_interval=None, capture_terminal_logs=False, log_system_params=False)
    (folder / "aim-run").write_text(run.hash)
    return lambda values, step: run.track(values, step=step)


def swanlab(folder: Path) -> Log:
    import swanlab

    swanlab.init(project="bench", mode="offline", log_dir=str(folder / "swanlog"))
    return lambda values, step: swanlab.log(values, step=step)


BEGIN: dict[str, Callable[[Path], Log]] = {
    each.__name__: each for each in (trainlive, floor, tensorboard, trackio, wandb, mlflow, aim, swanlab)
}
