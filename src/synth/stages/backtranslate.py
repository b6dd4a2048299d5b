"""Corpus + adapter -> candidates, a stream through one engine; a killed run goes on."""

import gc
import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from synth.errors import InputError, ModelError, RunError, SynthError
from synth.models.protocols import Engine, Models, Request
from synth.recipe import Recipe
from synth.records import WHOLE, Listener, Outcome, Part, Progress, content_id, silent
from synth.stages.common import AdapterInfo, provenance_of, read_adapter
from synth.stages.meter import Meter
from synth.stages.reading import Account, Asking, pending
from synth.stages.scoring import Answer, scored
from synth.store.candidate_rows import unanswered
from synth.store.candidates import Asked, Scores, Shards, finished
from synth.store.corpus import StandardInput, find_corpus
from synth.store.parts import STAGE, begin_part, commit_part, done_part, settle
from synth.store.run import Done, Run
from synth.text.control import learnt_traits

_UNSEARCHED = 20_000  # objects that may be made between two searches for cyclic garbage


def backtranslate(
    run: Run,
    recipe: Recipe,
    models: Models,
    corpus: Sequence[str],
    listen: Listener = silent,
    *,
    part: Part = WHOLE,
    strict: bool = False,
) -> Outcome:
    """Generates instructions for every segment of a part of the corpus into `run.candidates`.

    The corpus passes through without being held. What was generated before for the same text with
    the same adapter, prompt and settings is reused; only what changed is generated again.

    Raises:
        InputError: For a corpus without a document or that cannot be divided or, with `strict`,
            with a bad line.
        SynthError: Without an adapter that fits the recipe, or when the engine fails.
    """
    started = time.time()
    sources = find_corpus(corpus, recipe.corpus)
    adapter = read_adapter(run.adapter, recipe, models)
    if part.of > 1 and any(isinstance(source, StandardInput) for source in sources):
        raise InputError(
            "-: standard input cannot be read in parts; write it to a file, or leave out --shard"
        )
    identities = [source.identity() for source in sources]
    division = (part.of,) if part.of > 1 else ()
    fingerprint = fingerprint_of(recipe, adapter, identities, *division, strict=strict)
    done = done_part(run, part)
    if done and done.fingerprint == fingerprint and is_whole(run, recipe, part, done):
        settle(run)
        return Outcome(STAGE, done.counts, skipped=True)
    listen(Progress(STAGE, note="reading the corpus"))
    begin_part(run, part)
    asking = asking_of(recipe, models, adapter)
    account = Account()
    meter = Meter(STAGE, sum(source.size for source in sources), account, listen)
    answered = finished(run, recipe.generate, part)
    stream = pending(run, sources, asking, answered, account, meter.read, part=part, strict=strict)
    shards = Shards(run, provenance_of(recipe, adapter), part)
    with closing(stream):
        _answer(
            stream, recipe, lambda: models.engine(recipe, weights_of(run, recipe)), shards, meter
        )
    meter.end()
    lost = unanswered(run, recipe.generate, part)
    if lost or not account.adds_up(recipe.generate.samples):
        raise RunError(
            f"{run.candidates}: {lost} of {account.requests} requests have no answer; run the"
            " same command again"
        )
    counts = {**account.counts(), **meter.counts(time.time() - started)}
    commit_part(run, part, fingerprint, counts, started)
    return Outcome(STAGE, counts)


def fingerprint_of(
    recipe: Recipe,
    adapter: AdapterInfo,
    identities: Iterable[str],
    *division: object,
    strict: bool,
) -> str:
    """Hash of what the candidates depend on.

    Args:
        recipe: The recipe.
        adapter: What writes them.
        identities: Of the corpus's sources, in order.
        division: Into what it is divided; the hash is the same for all of it.
        strict: Whether there may be bad lines.
    """
    return content_id(
        _made_by(adapter, recipe), recipe.corpus.fingerprint(), _asked_for(recipe), strict,
        *identities, *division,
    )  # fmt: skip


def is_whole(run: Run, recipe: Recipe, part: Part, done: Done) -> bool:
    """Whether what a finished part made is all there, and no error of the engine with it."""
    if done.counts["engine_errors"] or not run.segments_of(part).is_file():
        return False
    return not unanswered(run, recipe.generate, part)


def asking_of(recipe: Recipe, models: Models, adapter: AdapterInfo) -> Asking:
    """How the recipe puts segments to that adapter."""
    learnt = learnt_traits(adapter.control)
    return Asking(recipe, models.tokenizer(recipe), learnt, _made_by(adapter, recipe))


def _made_by(adapter: AdapterInfo, recipe: Recipe) -> str:
    """Hash of what an answer depends on beside its prompt and its seed."""
    settings = recipe.generate
    engine: tuple[object, ...] = (settings.engine, settings.weights)
    if settings.engine == "vllm":
        engine += tuple(sorted((k, v) for k, v in settings.vllm.items() if k not in _CAPACITY))
    if settings.engine == "endpoint":
        engine += (settings.endpoint.model,)
    return content_id(
        STAGE, 4, adapter.fingerprint, adapter.base_identity, engine,
        settings.temperature, settings.top_p,
    )  # fmt: skip


_CAPACITY = frozenset(
    "gpu_memory_utilization max_num_seqs max_num_batched_tokens tensor_parallel_size"
    " pipeline_parallel_size data_parallel_size enforce_eager swap_space cpu_offload_gb"
    " block_size disable_log_stats max_model_len enable_prefix_caching".split()
)
"""Engine arguments of vLLM that decide how fast it is, not what it says."""


def _asked_for(recipe: Recipe) -> str:
    """Hash of how much is asked, and how it is put."""
    settings = recipe.generate
    return content_id(
        settings.samples, settings.scores, settings.seed, settings.max_tokens,
        settings.max_new_tokens, settings.control, recipe.prompt.fingerprint(),
    )  # fmt: skip


def weights_of(run: Run, recipe: Recipe) -> Path:
    """The folder of what the recipe wants run.

    Raises:
        RunError: When that was never made.
    """
    if recipe.generate.weights == "adapter":
        return run.adapter
    if run.done("merge") is None or not run.merged.is_dir():
        raise RunError(f"{run.merged}: no merged model; run `synth finetune --merge` first")
    return run.merged


def _answer(
    stream: Iterator[Asked],
    recipe: Recipe,
    start: Callable[[], Engine],
    shards: Shards,
    meter: Meter,
) -> None:
    """Starts an engine, if anything is in the stream, and puts it to that."""
    first = next(stream, None)
    if first is None:
        return
    meter.tell(f"loading {recipe.generate.engine}")
    engine = start()
    meter.begin()
    with closing(engine), _few_cycles():
        answer(engine, itertools.chain([first], stream), recipe, shards, meter)


@contextmanager
def _few_cycles() -> Iterator[None]:
    """Looks for cyclic garbage less often, and not among what was loaded.

    Next to none is made here, and the search took a tenth of the processor's time.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_UNSEARCHED, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def answer(
    engine: Engine, stream: Iterable[Asked], recipe: Recipe, shards: Shards, meter: Meter
) -> None:
    """Puts the stream to the engine and writes the answers in shards.

    Raises:
        ModelError: When the engine dies or hangs; what it answered before is kept, but where it
            would have to be scored first.
    """
    held: list[Answer] = []
    settings, due = recipe.generate, time.monotonic() + recipe.generate.shard_seconds
    try:
        for asked, completion in _completed(engine, stream):
            held.append((asked, completion))
            meter.count(asked, completion)
            if len(held) >= settings.shard or time.monotonic() >= due:
                shards.write(scored(engine, held, recipe, meter.measure))
                held, due = [], time.monotonic() + settings.shard_seconds
        if held:
            shards.write(scored(engine, held, recipe, meter.measure))
    except (KeyboardInterrupt, SynthError):
        if held and not settings.scores:
            shards.write([(asked, completion, Scores()) for asked, completion in held])
        raise


def _completed(engine: Engine, stream: Iterable[Asked]) -> Iterator[Answer]:
    """Each request of the stream with its completion, as they finish.

    Raises:
        ModelError: When the engine ends without an answer to each.
    """
    waiting: dict[int, Asked] = {}

    def requests() -> Iterator[Request]:
        for key, asked in enumerate(stream):
            waiting[key] = asked
            yield Request(asked.ids, asked.seed, key)

    for key, completion in engine.generate(requests()):
        yield waiting.pop(key), completion
    if waiting:
        raise ModelError(f"the engine left {len(waiting)} requests without an answer; run again")
