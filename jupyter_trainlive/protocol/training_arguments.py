"""transformers' further `TrainingArguments`: those the recipe passes on as they are, and those it can't take.

Their names and types as of transformers 5; the training checks them again against the version that is there.
"""

from __future__ import annotations

from dataclasses import dataclass

from .checks import Check, any_object, choice, flag, names, number, text, whole


@dataclass(frozen=True)
class Argument:
    """One that is passed on if it is given; without it transformers' own default holds."""

    check: Check
    description: str


#: What `TrainingArguments` takes besides the parameters of the recipe.
FURTHER: dict[str, Argument] = {
    "lr_scheduler_kwargs": Argument(any_object, "what the schedule takes besides, such as num_cycles or min_lr"),
    "adam_beta1": Argument(number(0, 1, below=True), "decay of the first moments of Adam"),
    "adam_beta2": Argument(number(0, 1, below=True), "decay of the second moments of Adam"),
    "adam_epsilon": Argument(number(0, 1), "what keeps Adam from dividing by zero"),
    "optim_args": Argument(text, 'what the optimizer takes besides, as "name=value, name=value"'),
    "optim_target_modules": Argument(names("all-linear"), "modules that GaLore and APOLLO optimize"),
    "label_smoothing_factor": Argument(number(0, 1, below=True), "share of each label spread over all others"),
    "neftune_noise_alpha": Argument(number(0, 1e6), "noise on the embeddings (NEFTune), 5 to 15 usually"),
    "bf16_full_eval": Argument(flag, "evaluate in bfloat16 throughout"),
    "fp16_full_eval": Argument(flag, "evaluate in float16 throughout; needs a GPU"),
    "tf32": Argument(flag, "TensorFloat-32 on GPUs that have it"),
    "gradient_checkpointing_kwargs": Argument(any_object, "what gradient checkpointing takes, such as use_reentrant"),
    "torch_compile": Argument(flag, "compile the model"),
    "torch_compile_backend": Argument(text, "backend of torch.compile"),
    "torch_compile_mode": Argument(text, "mode of torch.compile"),
    "use_liger_kernel": Argument(flag, "kernels of the package liger-kernel"),
    "liger_kernel_config": Argument(any_object, "which of them"),
    "torch_empty_cache_steps": Argument(whole(1), "steps between two times that the GPU's cache is emptied"),
    "logging_strategy": Argument(choice("no", "steps", "epoch"), "when to log; steps by default"),
    "include_num_input_tokens_seen": Argument(choice("all", "non_padding", "no"), "log the tokens seen so far"),
    "log_level": Argument(
        choice("debug", "info", "warning", "error", "critical", "passive"), "how much transformers tells in the output"
    ),
    "eval_on_start": Argument(flag, "evaluate once before the first step"),
    "eval_delay": Argument(number(0, 1e9), "epochs or steps, as eval_strategy counts, without an evaluation"),
    "eval_accumulation_steps": Argument(whole(1), "batches of an evaluation whose results stay on the GPU"),
    "full_determinism": Argument(flag, "slower algorithms that always give the same result"),
    "data_seed": Argument(whole(0, 2**32 - 1), "seed of the order of the rows; seed by default"),
    "accelerator_config": Argument(any_object, "what accelerate takes"),
    "dataloader_drop_last": Argument(flag, "leave out the last batch if it is not full"),
    "dataloader_num_workers": Argument(whole(0, 256), "processes that make batches; 0: the training does"),
    "dataloader_pin_memory": Argument(flag, "batches in memory that a GPU reads quicker"),
    "dataloader_persistent_workers": Argument(flag, "keep those processes between epochs"),
    "dataloader_prefetch_factor": Argument(whole(1, 10_000), "batches that each of them makes in advance"),
    "dataloader_multiprocessing_context": Argument(choice("fork", "spawn", "forkserver"), "how those are started"),
    "dataloader_in_order": Argument(flag, "keep the order in which they were given batches to make"),
    "train_sampling_strategy": Argument(choice("random", "sequential"), "order of the rows; random by default"),
    "use_cache": Argument(flag, "keep keys and values in the forward pass"),
    "skip_memory_metrics": Argument(flag, "false: log memory at the end, for slower steps"),
}

_OURS = "is set by the recipe"
_EVALUATION = "needs metrics in code of your own, and the recipe evaluates by itself; leave it out"
_RANKS = "is for several processes, and the recipe runs in one; run your own script with launch(…, processes=N)"
_HUB = "is not done by the recipe; push artifacts/model when the job has ended"
_REPORTS = "is for other trackers, and the job is recorded here; leave it out"
_WHOLE = "would make checkpoints that a job can't go on from; leave it out, or set save_strategy no"

#: What it doesn't, and why; the message goes on after the name.
RESERVED: dict[str, str] = {
    "output_dir": f"{_OURS}: checkpoints and model lie in the job's folder",
    "do_train": f"{_OURS}; leave it out",
    "do_eval": f"{_OURS}: eval_strategy says when it evaluates",
    "do_predict": "is not done by the recipe; load artifacts/model when the job has ended",
    "disable_tqdm": f"{_OURS}: the view of the job shows the progress",
    "report_to": _REPORTS,
    "run_name": f"{_REPORTS}; name is the name of the job",
    "project": _REPORTS,
    "trackio_space_id": _REPORTS,
    "trackio_bucket_id": _REPORTS,
    "trackio_static_space_id": _REPORTS,
    "logging_first_step": f"{_OURS}: the first step is always logged",
    "logging_nan_inf_filter": f"{_OURS}: off, or a loss that is NaN would show as zero",
    "use_cpu": f"{_OURS}: gpus=0 hides the GPUs from the job",
    "remove_unused_columns": f"{_OURS}; column_mapping says which columns are used",
    "label_names": f"{_OURS}; column_mapping says which column is the label",
    "length_column_name": f"{_OURS}; leave it out",
    "prediction_loss_only": f"{_OURS}; leave it out",
    "include_for_metrics": _EVALUATION,
    "batch_eval_metrics": _EVALUATION,
    "eval_do_concat_batches": _EVALUATION,
    "eval_use_gather_object": _EVALUATION,
    "predict_with_generate": _EVALUATION,
    "generation_max_length": _EVALUATION,
    "generation_num_beams": _EVALUATION,
    "generation_config": _EVALUATION,
    "sortish_sampler": "is not there in the recipe; leave it out",
    "auto_find_batch_size": "would begin anew within the training, so that steps and checkpoints no longer fit; "
    "lower per_device_train_batch_size (a dry run says what fits)",
    "save_only_model": _WHOLE,
    "ignore_data_skip": f"{_OURS}: a resumed job goes on with the row that is next",
    "restore_callback_states_from_checkpoint": f"{_OURS}; leave it out",
    "enable_jit_checkpoint": f"{_OURS}: pausing with release writes the checkpoint",
    "debug": "is for code of your own; leave it out",
    "push_to_hub": _HUB,
    "hub_model_id": _HUB,
    "hub_strategy": _HUB,
    "hub_token": f"{_HUB}; a token never belongs into a job",
    "hub_private_repo": _HUB,
    "hub_always_push": _HUB,
    "hub_revision": _HUB,
    "average_tokens_across_devices": _RANKS,
    "log_on_each_node": _RANKS,
    "log_level_replica": _RANKS,
    "save_on_each_node": _RANKS,
    "parallelism_config": _RANKS,
    "local_rank": _RANKS,
    "ddp_find_unused_parameters": _RANKS,
    "ddp_bucket_cap_mb": _RANKS,
    "ddp_broadcast_buffers": _RANKS,
    "ddp_static_graph": _RANKS,
    "ddp_backend": _RANKS,
    "ddp_timeout": _RANKS,
    "fsdp": _RANKS,
    "fsdp_config": _RANKS,
    "deepspeed": _RANKS,
}

#: Names that others use, or used before transformers 5, and what to write instead.
INSTEAD: dict[str, str] = {
    "warmup_ratio": "did you mean warmup_steps? Below 1 it is a share of all steps",
    "evaluation_strategy": "did you mean eval_strategy?",
    "max_seq_length": "did you mean max_length?",
    "max_seq_len": "did you mean max_length?",
    "model_name_or_path": "did you mean model_name?",
    "dataset_name": "did you mean dataset_path? It takes a hub id as well",
    "train_file": "did you mean dataset_path?",
    "validation_file": "did you mean eval_dataset_path?",
    "eval_dataset": "did you mean eval_dataset_path?",
    "validation_split": "did you mean eval_split?",
    "validation_split_percentage": "did you mean eval_split? It is a fraction",
    "test_size": "did you mean eval_split?",
    "dataset_text_field": 'did you mean column_mapping? {"text": "…"} says which column is the text',
    "lora_target": "did you mean lora_target_modules?",
    "target_modules": "did you mean lora_target_modules?",
    "load_in_8bit": "did you mean load_in_4bit? 8 bits are not supported",
    "quantization_config": "did you mean load_in_4bit?",
    "peft_config": "did you mean use_peft? lora_r, lora_alpha, lora_dropout and lora_target_modules go with it",
    "epochs": "did you mean num_train_epochs?",
    "num_epochs": "did you mean num_train_epochs?",
    "lr": "did you mean learning_rate?",
    "batch_size": "did you mean per_device_train_batch_size?",
    "per_gpu_train_batch_size": "did you mean per_device_train_batch_size?",
    "per_gpu_eval_batch_size": "did you mean per_device_eval_batch_size?",
    "no_cuda": "it is gone from transformers; gpus=0 hides the GPUs from the job",
    "logging_dir": "it is gone from transformers; leave it out",
    "overwrite_output_dir": "it is gone from transformers; leave it out",
    "group_by_length": "did you mean train_sampling_strategy?",
    "tokenizer": "it is that of model_name",
}

#: New names of transformers' for parameters that the recipe knows by the old one.
RENAMED: dict[str, str] = {
    "activation_checkpointing": "gradient_checkpointing",
    "activation_checkpointing_kwargs": "gradient_checkpointing_kwargs",
}
