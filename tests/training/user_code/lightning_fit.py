"""Fits with Lightning, as people write them, in both of its packages: neither knows that it is watched."""

import contextlib
import csv
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from jupyter_trainlive.protocol.control import Desired
from tests.training.user_code import steering


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return steering.slowly(torch.full((4,), index / 12))


def module(base):
    class Module(base):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)
            self.losses = []

        def training_step(self, batch, index):
            loss = self.layer(batch).square().mean()
            self.log("train_loss", loss, on_step=True, on_epoch=True)
            self.losses.append(loss.item())
            return loss

        def validation_step(self, batch, index):
            self.log("val_loss", self.layer(batch).square().mean())

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.05)

    return Module()


def loader():
    return torch.utils.data.DataLoader(Rows(), batch_size=1)


def reported(logger):
    with (Path(logger.log_dir) / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


torch.manual_seed(0)
quiet = {"accelerator": "cpu", "devices": 1, "enable_model_summary": False, "log_every_n_steps": 2}
logger = CSVLogger("logs")
trainer = pl.Trainer(
    max_epochs=2, accumulate_grad_batches=2, logger=logger, callbacks=[ModelCheckpoint("saved", save_top_k=-1)], **quiet
)
with steering.steered(3, Desired.PAUSED, Desired.RELEASED, Desired.RUNNING):
    fitted = module(pl.LightningModule)
    trainer.fit(fitted, loader(), loader())
steering.told("fit", reported(logger))
steering.told("losses", fitted.losses[1::2])

# Cancelled where nothing is logged anywhere, and where it wants to go on for longer.
trainer = pl.Trainer(
    max_epochs=1000,
    min_epochs=500,
    logger=False,
    enable_checkpointing=False,
    limit_val_batches=1,
    callbacks=[EarlyStopping("val_loss", patience=1000)],
    **quiet,
)
with steering.steered(3, Desired.PAUSED, Desired.CANCELLED):
    trainer.fit(module(pl.LightningModule), loader(), loader())
steering.told("cancelled", trainer.global_step)

import pytorch_lightning  # noqa: E402

trainer = pytorch_lightning.Trainer(max_steps=3, logger=False, enable_checkpointing=False, **quiet)
trainer.fit(module(pytorch_lightning.LightningModule), loader())
steering.told("other", trainer.logged_metrics["train_loss_epoch"].item())


# One that fails on its way.
class Failing(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, index):
        return torch.full((4,), 1.0 / (7 - index))


trainer = pl.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, **quiet)
with contextlib.suppress(ZeroDivisionError):
    trainer.fit(module(pl.LightningModule), torch.utils.data.DataLoader(Failing()))
