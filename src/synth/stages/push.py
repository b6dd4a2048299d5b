"""Adapter or merged model -> a model repository on the Hub, with a card that says what it is."""

import json
import time
from pathlib import Path

from synth.models.protocols import Models
from synth.recipe import Recipe
from synth.records import Listener, Outcome, Progress, content_id, silent
from synth.stages.common import read_adapter
from synth.store.hub import log_in, publish
from synth.store.model_card import ModelFacts, model_card
from synth.store.run import Run

STAGE = "push"


def check_login(repo: str) -> None:
    """Sees to it that the Hub knows who pushes, before anything is trained for it.

    Raises:
        HubError: When it does not, or cannot be reached, or for a name that no repository can have.
    """
    log_in(repo, "model", time.sleep)


def push(
    run: Run,
    recipe: Recipe,
    models: Models,
    repo: str,
    listen: Listener = silent,
    *,
    merged: bool = False,
    public: bool = False,
) -> Outcome:
    """Sends `run.adapter`, or with `merged` `run.merged`, to the model repository `repo`.

    Raises:
        SynthError: Without an adapter that fits the recipe, or when the Hub refuses.
    """
    started = time.time()
    adapter = read_adapter(run.adapter, recipe, models)
    listen(Progress(STAGE, note=f"comparing with {repo}"))
    folder = run.merged if merged else run.adapter
    report = json.loads(run.evaluation.read_text("utf-8")) if run.done("evaluate") else None
    merge = run.done("merge")
    facts = ModelFacts(
        repo=repo,
        recipe=recipe,
        pairs=adapter.pairs,
        merged=merged,
        gaps=merge.counts["largest_logit_gap"] if merge and merged else {},
        evaluation=report,
    )
    files: dict[str, Path | bytes] = {
        path.name: path for path in sorted(folder.iterdir()) if path.name != "README.md"
    }
    files["README.md"] = model_card(facts).encode()
    files["recipe.yaml"] = recipe.to_yaml().encode()
    if not merged:
        files["adapter_config.json"] = _portable(folder / "adapter_config.json", recipe)
    what = "merged model" if merged else "adapter"
    sent = publish(
        files,
        repo,
        "model",
        message=f"Add the {what} of {recipe.name}",
        private=not public,
        sent=lambda done, total: listen(Progress(STAGE, done, total, "file", f"to {repo}")),
    )
    counts = {"sent": what, "url": sent.url, "commit": sent.commit}
    run.commit(STAGE, content_id(STAGE, 1, adapter.fingerprint, repo, merged), counts, started)
    return Outcome(STAGE, counts)


def _portable(config: Path, recipe: Recipe) -> bytes:
    """The adapter's configuration, its base named as the recipe names it, not by a cache's path."""
    values = json.loads(config.read_text("utf-8"))
    values["base_model_name_or_path"] = recipe.model.base
    return (json.dumps(values, indent=2, sort_keys=True) + "\n").encode()
