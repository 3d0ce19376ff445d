"""Which of a training's numbers are a loss, by the names that frameworks and people give them."""

from __future__ import annotations

import functools
import re

#: Of the steps: `loss` (transformers), `train_loss`, `train_loss_step` (Lightning), `train/loss`.
_TRAINING_LOSS = re.compile(r"(train(ing)?[_/])?loss(_step)?")
#: `eval_loss` and `eval_<rows>_loss` (transformers), `val_loss` (Lightning), `valid/loss`.
_EVALUATION_LOSS = re.compile(r"(eval|val|valid|validation|dev)[_/](.*[_/])?loss(_epoch)?")
#: `grad_norm` (transformers), `grad_2.0_norm_total` (Lightning).
_GRADIENT_NORM = re.compile(r"(train(ing)?[_/])?(total_)?grad(ient)?_norm|grad_2(\.0)?_norm_total")
_LEARNING_RATE = re.compile(r"(train(ing)?[_/])?(learning_rate|lr)(-.*)?")

# Names come again and again, but who makes up new ones must not fill the memory.
_cached = functools.lru_cache(maxsize=1024)


@_cached
def is_training_loss(name: str) -> bool:
    """Whether it is the loss that is trained on, of one step or of a few."""
    return _TRAINING_LOSS.fullmatch(name) is not None


@_cached
def is_evaluation_loss(name: str) -> bool:
    """Whether it is a loss of rows that aren't trained on."""
    return _EVALUATION_LOSS.fullmatch(name) is not None


@_cached
def is_gradient_norm(name: str) -> bool:
    """Whether it is the norm of all gradients together."""
    return _GRADIENT_NORM.fullmatch(name) is not None


@_cached
def is_learning_rate(name: str) -> bool:
    """Whether it is a learning rate."""
    return _LEARNING_RATE.fullmatch(name) is not None


def called(name: str) -> str:
    """What a sentence calls it at its beginning."""
    if is_gradient_norm(name):
        return f"The gradient norm ({name})"
    if is_evaluation_loss(name):
        return f"The evaluation loss ({name})"
    return "The loss" if name == "loss" else f"The loss ({name})"
