"""Makes a language model of 100,000 random weights with a tokenizer and a chat template; its text is noise.

python tiny_model.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SENTENCES = [f"{a} plus {b} is {a + b}. The answer is {a + b}." for a in range(30) for b in range(30)]
TEMPLATE = (
    "{% for message in messages %}<s>{{ message['role'] }}\n{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant\n{% endif %}"
)
VOCABULARY = 512
SPREAD = 0.3
"""Standard deviation of the weights; with the usual 0.02, a text would depend on little but its last token."""
SHARPNESS = 5.0
"""Factor on the logits, so that a low temperature nearly always gives the same text and a high one never does."""


def make(folder: Path) -> None:
    """Save the model; it takes about a second."""
    torch.manual_seed(0)
    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    special = ["<s>", "</s>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    learned.train_from_iterator(
        SENTENCES, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=learned, bos_token="<s>", eos_token="</s>", pad_token="</s>", chat_template=TEMPLATE
    )
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=4096, initializer_range=SPREAD, bos_token_id=0, eos_token_id=1, pad_token_id=1,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    model.lm_head.weight.data *= SHARPNESS
    # Without do_sample, `transformers serve` answers greedily at any temperature.
    model.generation_config = GenerationConfig(do_sample=True, bos_token_id=0, eos_token_id=1, pad_token_id=1)
    model.save_pretrained(folder)


if __name__ == "__main__":
    make(Path(sys.argv[1]))
