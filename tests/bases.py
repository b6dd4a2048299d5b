"""A base of a realistic size, made in place: random weights, and nano's tokenizer.

python tests/bases.py FOLDER
"""

import sys
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

NANO = Path(__file__).parents[1] / "data" / "nano"

WAYS = {
    "qlora": ("model.quantization=nf4",),
    "lora": ("model.quantization=none",),
    "lesson": (
        "model.quantization=nf4",
        "finetune.packing=true",
        "finetune.loss=text",
        "finetune.lora.targets=null",
        "finetune.optimizer=adamw_torch",
    ),
    "plain": (
        "model.quantization=none",
        "finetune.lora.dropout=0",
        "finetune.loss=text",
        "finetune.optimizer=adamw_torch",
    ),
}
"""Ways of training such a base whose memory is known; the rest is the recipe mistral-7b's."""


def config_of(layers: int = 22) -> LlamaConfig:
    """A Llama as wide as TinyLlama's 1.1 billion parameters, which has 22 layers, in 16 bits."""
    tokenizer = AutoTokenizer.from_pretrained(NANO)
    return LlamaConfig(
        vocab_size=32_000,
        hidden_size=2048,
        intermediate_size=5632,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="bfloat16",
    )


def write_base(folder: Path, layers: int = 22) -> None:
    """Such a model with random weights, and its tokenizer."""
    torch.manual_seed(1)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = LlamaForCausalLM(config_of(layers))
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(NANO).save_pretrained(folder)


if __name__ == "__main__":
    write_base(Path(sys.argv[1]))
