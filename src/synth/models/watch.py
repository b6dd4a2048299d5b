"""What looks on while TRL trains: tells the progress, stops a run that learns nothing."""

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from synth.errors import TrainingError
from synth.models.protocols import LossPoint
from synth.records import Listener, Progress

_log = logging.getLogger(__name__)

COMPLETE = "complete"
"""A checkpoint that holds a file of this name was written whole."""


class Watch(TrainerCallback):  # type: ignore[misc]  # transformers is not typed
    """Tells the listener, checks every loss, and marks the checkpoints that are whole."""

    def __init__(self, listen: Listener) -> None:
        self._listen = listen
        self._last: dict[str, float] = {}
        self._found = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Where it begins: after a resumed training's last checkpoint."""
        self._found = state.global_step
        self._tell(state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Progress."""
        self._tell(state)

    def _tell(self, state: Any) -> None:  # noqa: ANN401
        note = ", ".join(f"{name} loss {value:.3f}" for name, value in self._last.items())
        step, steps = state.global_step, state.max_steps
        self._listen(Progress("finetune", step, steps, "step", note, self._found))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:  # noqa: ANN401
        """Remembers a loss; stops at one that is not a number or exactly 0."""
        figures = ", ".join(f"{name} {value}" for name, value in (logs or {}).items())
        _log.info("step %s: %s", state.global_step, figures)
        for key, name in (("loss", "train"), ("eval_loss", "held-out")):
            loss = (logs or {}).get(key)
            if loss is None:
                continue
            if not math.isfinite(loss) or loss == 0.0:
                raise TrainingError(
                    f"{name} loss {loss} at step {state.global_step}: training would teach nothing;"
                    " lower finetune.learning_rate and look at the pairs"
                )
            self._last[name] = loss
            self._tell(state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ANN401
        """Marks the checkpoint just written, unless patience ended the training with it.

        From such a one transformers would train on; from the one before, it ends there again.
        """
        ended = control.should_training_stop and state.global_step < state.max_steps
        if state.is_world_process_zero and not ended:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()


def loss_points(history: Iterable[Mapping[str, Any]]) -> list[LossPoint]:
    """The losses of a trainer's log, in its order, and what was logged with them."""
    return [
        LossPoint(
            entry["step"],
            entry.get("loss"),
            entry.get("eval_loss"),
            entry.get("learning_rate"),
            _finite(entry.get("grad_norm")),
        )
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    ]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint in the folder that was written whole."""
    whole = [path.parent for path in folder.glob(f"checkpoint-*/{COMPLETE}")]
    return max(whole, key=lambda path: int(path.name.partition("-")[2]), default=None)
