"""What only shows between the recipe's parameters: what goes against another, and what follows from others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .checks import ParameterError, short

CAUSAL, CLASSIFICATION, SEQ2SEQ = TASKS = ("causal-lm", "sequence-classification", "seq2seq")
#: What a column can be, by task.
COLUMNS = {
    CAUSAL: ("text", "prompt", "completion", "messages"),
    CLASSIFICATION: ("text", "text_pair", "label"),
    SEQ2SEQ: ("prompt", "completion"),
}
#: Columns that are not in one row together: each stands for its form.
_FORMS = {
    "text": "text",
    "prompt": "prompt and completion",
    "completion": "prompt and completion",
    "messages": "messages",
}
_EVALUATING = (
    *("eval_strategy", "eval_steps", "max_eval_samples", "early_stopping_patience", "load_best_model_at_end"),
    *("metric_for_best_model", "greater_is_better", "eval_on_start", "eval_delay", "eval_accumulation_steps"),
    *("bf16_full_eval", "fp16_full_eval"),
)
#: Further arguments that do nothing, or fail deep inside, without another.
_NEEDS = {
    "gradient_checkpointing_kwargs": "gradient_checkpointing",
    "liger_kernel_config": "use_liger_kernel",
    "dataloader_persistent_workers": "dataloader_num_workers",
    "dataloader_prefetch_factor": "dataloader_num_workers",
    "dataloader_multiprocessing_context": "dataloader_num_workers",
}
#: What `optim_args` can say, by the beginning of the optimizer's name; the others leave it unread.
_OPTIMIZER_TAKES = {
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov"),
    "adagrad": ("lr_decay", "weight_decay", "eps"),
    "rmsprop": ("momentum", "alpha", "eps", "weight_decay", "centered"),
    "ademamix": ("beta1", "beta2", "beta3", "alpha", "eps", "t_alpha", "t_beta3"),
    "galore": ("rank", "update_proj_gap", "scale", "proj_type"),
    "apollo": ("rank", "proj", "scale_type", "update_proj_gap", "scale", "proj_type"),
}
_OPTIMIZER_WORDS = ("nesterov", "centered", "proj", "proj_type", "scale_type")
_SCHEDULER_NEEDS = {
    "cosine_with_min_lr": ("min_lr", "min_lr_rate"),
    "cosine_warmup_with_min_lr": ("min_lr", "min_lr_rate"),
    "warmup_stable_decay": ("num_decay_steps",),
}


def check_together(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Check `values`, of which `given` were said by somebody, and fill in what follows.

    Raises ParameterError that names both where one goes against another.
    """
    for one, other in (("fp16", "bf16"), ("fp16_full_eval", "bf16_full_eval")):
        if values.get(one) and values.get(other):
            raise ParameterError(one, f"and {other} can't both be true; choose one")
    _check_columns(values)
    for name, needed in _NEEDS.items():
        if values.get(name) and not values.get(needed):
            raise ParameterError(name, f"has no use without {needed}; remove it, or set {needed}")
    _check_optimizer(values)
    _evaluation(values, given)
    _best(values, given)
    _saving(values)


def evaluates(values: Mapping[str, Any]) -> bool:
    """Whether there are rows to evaluate on."""
    return bool(values["eval_split"] or values["eval_dataset_path"] or values["dataset_test_split"])


def _check_columns(values: Mapping[str, Any]) -> None:
    task, mapping = values["task"], values["column_mapping"] or {}
    known = COLUMNS[task]
    for column in mapping:
        if column not in known:
            raise ParameterError(
                "column_mapping", f"has {short(column)}, but with task {task} the columns are {', '.join(known)}"
            )
    if task == CAUSAL and len(forms := {_FORMS[column] for column in mapping}) > 1:
        raise ParameterError("column_mapping", f"mixes {' with '.join(sorted(forms))}; give the columns of one form")
    taken: dict[str, str] = {}
    for ours, theirs in mapping.items():
        if theirs in taken:
            raise ParameterError("column_mapping", f"takes {short(theirs)} for both {taken[theirs]} and {ours}")
        taken[theirs] = ours


def _check_optimizer(values: Mapping[str, Any]) -> None:
    schedule, options = values["lr_scheduler_type"], values.get("lr_scheduler_kwargs") or {}
    needed = _SCHEDULER_NEEDS.get(schedule, ())
    if needed and not any(name in options for name in needed):
        raise ParameterError("lr_scheduler_type", f"{schedule} needs lr_scheduler_kwargs with {' or '.join(needed)}")
    if len(needed) > 1 and all(name in options for name in needed):
        raise ParameterError("lr_scheduler_kwargs", f"has {' and '.join(needed)}; give one of them")
    _check_optimizer_arguments(values["optim"], values.get("optim_args"))
    low_rank = values["optim"].startswith(("galore", "apollo"))
    modules = values.get("optim_target_modules")
    if low_rank and modules is None:
        raise ParameterError(
            "optim_target_modules", f'is missing; optim {values["optim"]} needs it, such as "all-linear"'
        )
    if modules is not None and not low_rank:
        raise ParameterError("optim_target_modules", f"has no use with optim {values['optim']}; remove one of the two")


def _check_optimizer_arguments(optimizer: str, given: str | None) -> None:
    # stable_adamw, of a package of its own, has many.
    if given is None or optimizer.startswith("stable"):
        return
    known = next((names for name, names in _OPTIMIZER_TAKES.items() if optimizer.startswith(name)), None)
    if known is None:
        raise ParameterError("optim_args", f"has no use with optim {optimizer}, which takes none; remove it")
    for item in given.split(","):
        name, equals, value = (part.strip() for part in item.partition("="))
        if not (name and equals and value):
            raise ParameterError("optim_args", f'must be written as "name=value, name=value", but has {short(item)}')
        if name not in known:
            raise ParameterError("optim_args", f"has {short(name)}, but optim {optimizer} takes {', '.join(known)}")
        try:
            if name not in _OPTIMIZER_WORDS:
                float(value)
        except ValueError:
            raise ParameterError("optim_args", f"has {name} {short(value)}, which must be a number") from None


def _evaluation(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    for other in ("eval_dataset_path", "dataset_test_split"):
        if values["eval_split"] and values[other]:
            raise ParameterError("eval_split", f"and {other} both say what to evaluate on; remove one of the two")
    there = evaluates(values)
    strategy, steps = values["eval_strategy"], values["eval_steps"]
    if not there:
        remedy = "needs rows to evaluate on; set eval_split, such as 0.1, or eval_dataset_path"
        for name in _EVALUATING:
            if given.get(name, False) not in (False, "no"):
                raise ParameterError(name, remedy)
        if values["lr_scheduler_type"] == "reduce_lr_on_plateau":
            raise ParameterError("lr_scheduler_type", f"reduce_lr_on_plateau {remedy}")
    if strategy is None:
        strategy = "steps" if steps is not None else "epoch" if there else "no"
    if strategy == "steps" and steps is None:
        raise ParameterError("eval_steps", 'is missing; give the steps between evaluations, or eval_strategy "epoch"')
    if strategy != "steps" and steps is not None:
        raise ParameterError("eval_steps", f'has no use with eval_strategy "{strategy}"; remove one, or set "steps"')
    values["eval_strategy"] = strategy


def _best(values: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What tells the best model, where that is asked."""
    asked = [name for name in ("load_best_model_at_end", "early_stopping_patience") if values[name]]
    if values["lr_scheduler_type"] == "reduce_lr_on_plateau":
        asked.append("lr_scheduler_type reduce_lr_on_plateau")
    if asked and values["eval_strategy"] == "no":
        raise ParameterError("eval_strategy", f'"no" goes against {asked[0]}; set it to "epoch" or "steps"')
    if not asked:
        for name in ("metric_for_best_model", "greater_is_better"):
            if given.get(name) is not None:
                needed = "load_best_model_at_end or early_stopping_patience"
                raise ParameterError(name, f"has no use without {needed}; set one of them")
        return
    metric = (values["metric_for_best_model"] or "loss").removeprefix("eval_")
    if metric == "accuracy" and values["task"] != CLASSIFICATION:
        raise ParameterError(
            "metric_for_best_model", f"accuracy is there with task sequence-classification only, not {values['task']}"
        )
    greater = metric != "loss"
    if values["greater_is_better"] not in (None, greater):
        wanted = "true" if greater else "false"
        raise ParameterError(
            "greater_is_better", f"goes against metric_for_best_model {metric}; leave it out, or {wanted}"
        )
    values["metric_for_best_model"], values["greater_is_better"] = metric, greater


def _saving(values: dict[str, Any]) -> None:
    saving, steps = values["save_strategy"], values["save_steps"]
    best = values["load_best_model_at_end"]
    if saving is None:
        # The best model is one of the checkpoints, so each evaluation has one.
        saving = "steps" if steps is not None or not best else values["eval_strategy"]
    if saving == "steps":
        steps = steps or (values["eval_steps"] if best else None) or 500
    elif steps is not None:
        raise ParameterError("save_steps", f'has no use with save_strategy "{saving}"; remove one of the two')
    values["save_strategy"], values["save_steps"] = saving, steps
    if not best:
        return
    if saving != values["eval_strategy"]:
        raise ParameterError(
            "save_strategy",
            f'"{saving}" and eval_strategy "{values["eval_strategy"]}" must be the same with load_best_model_at_end, '
            "as the best model is one of the checkpoints",
        )
    if saving == "steps" and not _is_multiple(steps, values["eval_steps"]):
        raise ParameterError(
            "save_steps",
            f"{steps:g} must be a multiple of eval_steps {values['eval_steps']:g} with load_best_model_at_end, "
            "as the best model is one of the checkpoints",
        )


def _is_multiple(many: float, one: float) -> bool:
    """As transformers asks: both in steps, or both a share of them."""
    if (many < 1) != (one < 1):
        return False
    # Shares are counted in millionths, or 0.3 would be no multiple of 0.1.
    return round(many * 1_000_000) % round(one * 1_000_000) == 0 if many < 1 else many % one == 0
