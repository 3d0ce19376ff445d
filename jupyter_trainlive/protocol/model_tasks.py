"""Which task a model was made for, as its config.json tells without any package; only what is certain is said."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .json_file import object_in
from .parameter_rules import CAUSAL, CLASSIFICATION, SEQ2SEQ

#: Encoders look at what comes behind a token, so nothing is learned by predicting it.
_ENCODERS = frozenset(
    (
        *("albert", "bert", "big_bird", "camembert", "convbert", "data2vec-text", "deberta", "deberta-v2"),
        *("distilbert", "electra", "ernie", "esm", "eurobert", "flaubert", "fnet", "funnel", "ibert", "layoutlm"),
        *("longformer", "luke", "megatron-bert", "mobilebert", "modernbert", "mpnet", "mra", "nomic_bert"),
        *("nystromformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert", "roformer", "squeezebert"),
        *("xlm-roberta", "xlm-roberta-xl", "xmod", "yoso"),
    )
)
_ENCODER_DECODERS = frozenset(
    (
        *("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "encoder-decoder", "fsmt", "led", "longt5"),
        *("m2m_100", "marian", "mbart", "mt5", "mvp", "nllb-moe", "pegasus", "pegasus_x", "plbart", "prophetnet"),
        *("switch_transformers", "t5", "t5gemma", "umt5"),
    )
)
_CAUSAL_CLASSES = ("ForCausalLM", "LMHeadModel")


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a model's folder; empty where there is none to read, since whoever loads it says that."""
    return object_in(folder / "config.json") or {}


def misfit(config: Mapping[str, Any], task: str) -> tuple[str, str] | None:
    """What a model is that surely is of another task, in words, and that task; None where nothing is sure."""
    kind = str(config.get("model_type"))
    listed = config.get("architectures")
    classes = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    causal = bool(classes) and all(name.endswith(_CAUSAL_CLASSES) for name in classes)
    if kind in _ENCODERS and not config.get("is_decoder"):
        return None if task == CLASSIFICATION else (f"an encoder ({kind})", CLASSIFICATION)
    both = kind in _ENCODER_DECODERS or config.get("is_encoder_decoder") is True
    if task == CAUSAL and both and not causal:
        return f"an encoder-decoder model ({kind})", SEQ2SEQ
    if task == SEQ2SEQ and causal and not both:
        return f"a decoder ({kind})", CAUSAL
    return None
