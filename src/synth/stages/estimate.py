"""Corpus + adapter -> what backtranslating it will take: a part is read, a little is generated."""

import itertools
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from synth.models.protocols import Engine, Models, Request
from synth.recipe import Recipe
from synth.records import WHOLE, BadLine, Document, Listener, Outcome, Progress, silent
from synth.stages.backtranslate import asking_of
from synth.stages.common import read_adapter
from synth.stages.on_ray import replicas
from synth.stages.reading import Account, bad_lines, fresh_documents, no_document
from synth.stages.scoring import Answer, scored
from synth.stages.telling import Told
from synth.store.candidates import Asked
from synth.store.corpus import Source, find_corpus, read_corpus
from synth.store.idset import IdSet
from synth.store.parts import STAGE
from synth.store.run import Run
from synth.text.segment import cut_all

_DOCUMENTS = 2000  # read at most
_WARM_UP = 8  # requests that are not timed: the first compile kernels
_TIMED = 128  # requests that are timed, at most
_TELL = 100  # documents between two reports


def estimate(
    run: Run,
    recipe: Recipe,
    models: Models,
    corpus: Sequence[str],
    listen: Listener = silent,
    *,
    on_ray: bool = False,
    strict: bool = False,
) -> Outcome:
    """Segments, tokens, time and cost of the whole corpus, from a sample; writes nothing.

    The counts hold, for each kind of weights that the run has (adapter, merged model), hours and
    candidates per hour. Numbers about the corpus are scaled by the share of its bytes that was
    read; of standard input and the Hub, whose size nobody knows, they are the sample's. With
    `on_ray` hours are those of as many engines as the recipe's cluster has room for, each as fast
    as the one that is measured here, and the price is that of an engine. With `strict` a bad line
    of the sample is an error.

    Raises:
        SynthError: As `backtranslate`.
    """
    sources = find_corpus(corpus, recipe.corpus)
    adapter = read_adapter(run.adapter, recipe, models)
    engines = replicas(recipe) if on_ray else 1
    listen(Progress(STAGE, note="reading a sample"))
    items, read = _sample(sources, recipe, listen)
    whole, items = len(items) <= _DOCUMENTS, items[:_DOCUMENTS]
    size = sum(source.size for source in sources)
    scale = 1.0 if whole or not size else max(1.0, size / max(1, read))
    account = Account()
    bad = list(bad_lines(items, account, WHOLE, strict=strict))
    documents = fresh_documents(items, IdSet(), account, WHOLE)
    if whole and not documents:
        raise no_document(sources, account.bad_lines, account.first_bad)
    pieces = [s for made in cut_all(documents, recipe.corpus) for s in made.segments]
    asking = asking_of(recipe, models, adapter)
    found = asking.of([piece for piece in pieces if not piece.skip])
    asked = [request for _, requests in found for request in requests]
    counts: dict[str, Any] = {
        "sampled_documents": len(documents),
        "sampled_share": round(1 / scale, 4),
        "documents": round(len(documents) * scale),
        "bad_lines": round(len(bad) * scale),
        "repeated_documents": round(account.repeated_documents * scale),
        "segments": round(len(pieces) * scale),
        "candidates": round(len(asked) * scale),
        "prompt_tokens": round(sum(len(request.ids) for request in asked) * scale),
    }
    if on_ray:
        counts["engines"] = engines
    for weights in ("adapter", "merged"):
        here = weights == "adapter" or (run.done("merge") is not None and run.merged.is_dir())
        if asked and here and (weights == "adapter" or recipe.generate.engine != "endpoint"):
            listen(Progress(STAGE, note=f"loading the {weights}"))
            counts[weights] = _measured(run, recipe, models, asked, weights, scale, engines, listen)
    if "adapter" in counts and "merged" in counts:
        counts["faster"] = min("adapter", "merged", key=lambda weights: counts[weights]["hours"])
    return Outcome(STAGE, counts, planned=True)


def _sample(
    sources: Sequence[Source], recipe: Recipe, listen: Listener
) -> tuple[list[Document | BadLine], int]:
    """The first documents and bad lines, one more than are looked at, and the bytes read."""
    read = 0

    def advance(count: int) -> None:
        nonlocal read
        read += count

    items: list[Document | BadLine] = []
    with closing(read_corpus(sources, recipe.corpus, advance)) as stream:
        for item in itertools.islice(stream, _DOCUMENTS + 1):
            items.append(item)
            if len(items) % _TELL == 0:
                listen(Progress(STAGE, len(items), unit="document", note="reading a sample"))
    return items, read


def _measured(
    run: Run,
    recipe: Recipe,
    models: Models,
    asked: Sequence[Asked],
    weights: str,
    scale: float,
    engines: int,
    listen: Listener,
) -> dict[str, float]:
    """Speed of an engine with those weights, and what the whole takes so many of them."""
    settings = recipe.generate.model_copy(update={"weights": weights})
    folder = run.adapter if weights == "adapter" else run.merged
    started = time.monotonic()
    engine = models.engine(recipe.model_copy(update={"generate": settings}), folder)
    loading = time.monotonic() - started
    step = max(1, len(asked) // (_WARM_UP + _TIMED))
    chosen = asked[::step][: _WARM_UP + _TIMED]
    warm = min(_WARM_UP, len(chosen) // 4)
    told = Told(STAGE, len(chosen), listen, "candidate", f"generating with the {weights}")
    try:
        _answered(engine, chosen[:warm], recipe, told)
        started = time.monotonic()
        new_tokens = _answered(engine, chosen[warm:], recipe, told)
        seconds = time.monotonic() - started
    finally:
        engine.close()
    timed = chosen[warm:]
    total = len(asked) * scale
    # Prompts differ in length: time is shared out by tokens, not by requests.
    tokens = sum(len(request.ids) for request in timed) + new_tokens
    of_all = sum(len(request.ids) for request in asked) + new_tokens / len(timed) * len(asked)
    hours = (seconds * of_all * scale / tokens / engines + loading) / 3600
    figures = {
        "new_tokens": round(new_tokens / len(timed) * total),
        "tokens_per_second_in": round(sum(len(request.ids) for request in timed) / seconds),
        "tokens_per_second_out": round(new_tokens / seconds),
        "hours": round(hours, 4),
        "pairs_per_hour": round(total / hours),
    }
    if recipe.generate.price_per_hour is not None:
        figures["cost"] = round(hours * engines * recipe.generate.price_per_hour, 2)
    return figures


def _answered(engine: Engine, asked: Sequence[Asked], recipe: Recipe, told: Told) -> int:
    """Tokens that the engine generated for these, which are scored as the recipe wants."""
    requests = (Request(request.ids, request.seed, key) for key, request in enumerate(asked))
    answers: list[Answer] = []
    told.count(0)
    for key, completion in engine.generate(requests):
        answers.append((asked[key], completion))
        told.count()
    scored(engine, answers, recipe)
    return sum(completion.tokens for _, completion in answers)
