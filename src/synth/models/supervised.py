"""TRL's trainer, with the output layer run for the positions that are learnt, on every device.

TRL 1.16 leaves out the others where Triton is; elsewhere it runs the layer over all of them and
drops what it found. The instruction is a sixteenth of a pair, so on a CPU that was a quarter of
the training. A training that is resumed goes on in the type in which it began.
"""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl import SFTTrainer

IGNORED = -100


class SupervisedTrainer(SFTTrainer):  # type: ignore[misc]  # trl is not typed
    """TRL's trainer; without Triton the loss is worked out here, to the same value."""

    def _load_from_checkpoint(self, *args: Any, **values: Any) -> None:  # noqa: ANN401
        """Loads the adapter in the type that it is trained in; PEFT would make it 32 bits.

        TRL trains the adapter of a 4-bit base in 16 bits.
        """
        kinds = {name: p.dtype for name, p in self.model.named_parameters() if p.requires_grad}
        super()._load_from_checkpoint(*args, **values)
        for name, parameter in self.model.named_parameters():
            if name in kinds:
                parameter.data = parameter.data.to(kinds[name])

    def compute_loss(
        self,
        model: Any,  # noqa: ANN401  (transformers types are not checked)
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401
        """Mean loss of the next token over labels that are not -100, in nats.

        Args:
            model: The model, perhaps wrapped for several processes.
            inputs: `input_ids`, `attention_mask` and `labels`, each (batch, tokens).
            return_outputs: Whether the caller wants the logits too, which only TRL gives.
            num_items_in_batch: Learnt tokens of the whole step, over all its batches.
        """
        if return_outputs or inputs["labels"].device.type == "cuda":
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs["labels"][:, 1:]
        learnt = (labels != IGNORED).any(dim=0).nonzero().squeeze(1)  # columns of the batch
        outputs = model(
            **{name: value for name, value in inputs.items() if name != "labels"},
            use_cache=False,
            logits_to_keep=learnt,
        )
        kept = labels[:, learnt]
        loss = cross_entropy(
            outputs.logits.flatten(0, 1).float(),
            kept.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
        )
        count = (kept != IGNORED).sum() if num_items_in_batch is None else num_items_in_batch
        loss = loss / torch.as_tensor(count).clamp(min=1)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # their gradients are averaged
        return loss
