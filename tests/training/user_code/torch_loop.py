"""Plain torch loops, as people write them: one that logs, one that does not, a GAN, and one that is cancelled."""

import time

import torch

import jupyter_trainlive as trainlive
from jupyter_trainlive.protocol.control import Desired
from tests.training.user_code import steering

torch.manual_seed(0)
data, target = torch.randn(12, 4), torch.randn(12, 1)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=12)
losses, rates = [], []
with steering.steered(3, Desired.PAUSED, Desired.RELEASED, Desired.RUNNING):
    for index in range(12):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(steering.slowly(data[[index]])), target[[index]])
        loss.backward()
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        schedule.step()
        losses.append(loss.item())
        trainlive.log({"accuracy": loss.item()})
steering.told("first", {"losses": losses, "rates": rates})

# Two optimizers in turns are one loop.
maker, judge = torch.nn.Linear(4, 4), torch.nn.Linear(4, 1)
theirs = torch.optim.Adam(judge.parameters(), lr=0.01)
ours = torch.optim.Adam(maker.parameters(), lr=0.02)
judged = []
for _ in range(10):
    for _ in range(2):
        # In two parts, of a step each.
        loss = judge(data).square().mean()
        (loss / 2).backward()
    judged.append(loss.item())
    theirs.step()
    theirs.zero_grad()
    (-judge(maker(data)).mean()).backward()
    ours.step()
    ours.zero_grad()
steering.told("second", judged)

# One that counts by itself, and from where it was; and one that counts epochs.
third = torch.optim.SGD(model.parameters(), lr=0.3)
for index in range(6):
    model(data).mean().backward()
    third.step()
    trainlive.log({"resumed": index}, step=101 + index, total_steps=200)
    if index == 4:
        time.sleep(0.3)
fourth = torch.optim.SGD(model.parameters(), lr=0.4)
for epoch in range(3):
    for _ in range(5):
        model(data).mean().backward()
        fourth.step()
    trainlive.log({"by epoch": epoch}, step=epoch)

with steering.steered(0, Desired.PAUSED, Desired.CANCELLED, interrupt=True, new=False):
    while True:
        model(steering.slowly(data)).mean().backward()
        fourth.step()
