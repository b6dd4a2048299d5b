"""A dataset's configs -> how to load them with `datasets` and to train on them."""

import json

from synth.store.card.facts import CardFacts

_TAGS = {"role_tag": "role", "content_tag": "content", "user_tag": "user"}


def loading(facts: CardFacts) -> str:
    """The section of the card."""
    place = facts.repo
    names = [config.name for config in facts.configs]
    parts = [
        f"`{place}` stands for the dataset's name on the Hub; the path of its folder does as well."
        f" Configs: {', '.join(f'`{name}`' for name in names)}.",
        f"""```python
from datasets import load_dataset

rows = load_dataset("{place}", "messages", split="train")
rows[0]["messages"]  # [{{"role": "user", ...}}, {{"role": "assistant", ...}}]
```""",
        _trl(place, "prompt_completion" in names),
        _axolotl(place),
        _llama_factory(facts.name, place),
        _torchtune(place),
    ]
    return "\n\n".join(parts)


def _trl(place: str, has_completions: bool) -> str:
    config = "prompt_completion" if has_completions else "messages"
    why = (
        "lists of messages, so that the model's chat template is put around them; the loss is on"
        " the completion alone"
        if has_completions
        else "the loss is on the whole conversation unless `assistant_only_loss=True`"
    )
    return f"""**TRL** ({why}):

```python
from datasets import load_dataset
from trl import SFTTrainer

rows = load_dataset("{place}", "{config}", split="train")
SFTTrainer(model="BASE", train_dataset=rows).train()
```"""


def _axolotl(place: str) -> str:
    return f"""**axolotl**:

```yaml
datasets:
  - path: {place}
    name: messages
    split: train
    type: chat_template
    field_messages: messages
    message_property_mappings: {{role: role, content: content}}
```"""


def _llama_factory(name: str, place: str) -> str:
    entry = {
        name: {
            "hf_hub_url": place,
            "subset": "messages",
            "split": "train",
            "formatting": "sharegpt",
            "columns": {"messages": "messages"},
            "tags": {**_TAGS, "assistant_tag": "assistant", "system_tag": "system"},
        }
    }
    return f"""**LLaMA-Factory** (`dataset_info.json`):

```json
{json.dumps(entry, indent=2)}
```"""


def _torchtune(place: str) -> str:
    return f"""**torchtune**:

```yaml
dataset:
  _component_: torchtune.datasets.chat_dataset
  source: {place}
  name: messages
  split: train
  conversation_column: messages
  conversation_style: openai
```"""
