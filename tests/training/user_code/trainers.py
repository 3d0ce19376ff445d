"""Trainers of transformers and TRL, and a loop with accelerate, as people write them: none knows that it is watched."""

from pathlib import Path

import torch
from accelerate import Accelerator
from datasets import Dataset
from peft import LoraConfig
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BartConfig,
    BartForConditionalGeneration,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainingArguments,
    get_scheduler,
)
from trl import SFTConfig, SFTTrainer

from jupyter_trainlive.protocol.control import Desired
from tests.training.user_code import steering

saving = {"save_strategy": "steps"}
common = {
    "per_device_train_batch_size": 2,
    "logging_steps": 1,
    "save_strategy": "no",
    "use_cpu": True,
    "seed": 3,
}


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        ids = torch.arange(8) + 8 * index
        return steering.slowly(dict.fromkeys(("input_ids", "labels"), ids))


trainer = Trainer(
    model=AutoModelForCausalLM.from_pretrained("model"),
    args=TrainingArguments("plain", max_steps=8, eval_strategy="steps", eval_steps=4, **{**common, **saving}),
    train_dataset=Rows(),
    eval_dataset=Rows(),
)
with steering.steered(3, Desired.PAUSED, Desired.RELEASED, Desired.RUNNING):
    trainer.train()
steering.told("trainer", trainer.state.log_history)
trainer.evaluate(metric_key_prefix="after")

# Cancelled where it would go on for long; and told to report to us by name.
trainer = Seq2SeqTrainer(
    model=BartForConditionalGeneration(
        BartConfig(
            vocab_size=128,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            max_position_embeddings=32,
        )
    ),
    args=Seq2SeqTrainingArguments("seq2seq", max_steps=10_000, report_to="trainlive", **common),
    train_dataset=Rows(),
)
with steering.steered(3, Desired.PAUSED, Desired.CANCELLED):
    trainer.train()
steering.told("seq2seq", trainer.state.log_history)

trainer = SFTTrainer(
    model=AutoModelForCausalLM.from_pretrained("model"),
    processing_class=AutoTokenizer.from_pretrained("model"),
    args=SFTConfig("sft", max_steps=4, bf16=False, **common),
    train_dataset=Dataset.from_dict({"text": ["Some text to learn.", "Another one."] * 4}),
    peft_config=LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"),
)
with steering.steered(1, Desired.PAUSED, Desired.RUNNING):
    trainer.train()
steering.told("sft", trainer.state.log_history)

accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2, log_with=[])
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
loader = torch.utils.data.DataLoader(torch.randn(24, 8), batch_size=2)
schedule = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=6)
model, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
losses, rates = [], []
with steering.steered(2, Desired.PAUSED, Desired.RUNNING):
    for batch in loader:
        with accelerator.accumulate(model):
            loss = model(steering.slowly(batch)).square().mean()
            accelerator.backward(loss)
            optimizer.step()
            rates.append(optimizer.param_groups[0]["lr"])
            schedule.step()
            optimizer.zero_grad()
        if accelerator.sync_gradients:
            losses.append(loss.item())
            accelerator.log({"train/loss": losses[-1], "note": "text"}, step=len(losses))
accelerator.save_state("state")
steering.told("accelerate", {"losses": losses, "rates": rates[1::2], "state": str(Path("state").absolute())})
