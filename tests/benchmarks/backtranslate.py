"""What backtranslating costs beside the engine, and how busy it keeps it: four ratios.

    python tests/benchmarks/backtranslate.py [--part vllm|transformers|pipeline|memory ...]
        [--set section.key=value ...]

vllm          synth's vllm engine against one `LLM.generate` over all prompts at once, both with the
              merged model (needs vLLM)
transformers  synth's transformers engine against one prompt at a time
pipeline      reading, cutting, rendering and writing with an engine that answers at once: segments
              a second of processor time, with nano's tokenizer and with one that costs nothing
memory        the peak at `--documents` documents against that at a tenth of them

Each part runs in processes of its own, on texts of nano's grammar. `--set model.base=FOLDER` takes
another base, as `tests/bases.py` makes. Prints one JSON object last.
"""

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "recipes" / "nano"))

from grammar import Composer  # noqa: E402
from synth.models.local import LocalModels  # noqa: E402
from synth.models.protocols import Engine, Question, Request, Score  # noqa: E402
from synth.recipe import Recipe, load_recipe  # noqa: E402
from synth.records import Completion, Document  # noqa: E402
from synth.stages.backtranslate import asking_of, backtranslate  # noqa: E402
from synth.stages.common import read_adapter  # noqa: E402
from synth.stages.finetune import finetune  # noqa: E402
from synth.stages.merge import merge  # noqa: E402
from synth.store.run import Run  # noqa: E402
from synth.text.segment import cut  # noqa: E402

SEED = 99
_ROWS = 500  # distinct texts; more documents repeat them, numbered
_SETS: list[str] = []  # what `--set` says


def recipe_of(*overrides: str) -> Recipe:
    """Nano, or another base, briefly trained: how well it asks is not what is measured."""
    brief = (
        "finetune.steps=10",
        "finetune.eval_every=10",
        "corpus.min_chars=1",
        "prompt.keywords=0",
        "generate.scores=[]",
    )
    return load_recipe("nano", [*brief, *overrides, *_SETS])


def write_corpus(path: Path, documents: int, paragraphs: int) -> None:
    """Documents of so many paragraphs each, no two alike."""
    texts = [e.response for e in itertools.islice(Composer(SEED).examples(), _ROWS)]
    cycle = itertools.cycle(texts)
    with path.open("w", encoding="utf-8") as file:
        for number in range(documents):
            parts = [next(cycle) for _ in range(paragraphs)]
            text = " ".join([f"This is text number {number}.", *parts])
            file.write(json.dumps({"id": f"d{number}", "text": text}) + "\n")


class WordTokenizer:
    """A token for six characters: what a tokenizer costs is left out, being the engine's affair."""

    bos_token_id, eos_token_id, chat_template = 1, 2, None

    def __call__(self, text: Any, **_: object) -> dict[str, Any]:
        many = [text] if isinstance(text, str) else text
        ids = [[3] * (len(one) // 6) for one in many]
        return {"input_ids": ids[0] if isinstance(text, str) else ids}


class AtOnce(LocalModels):
    """An engine that answers at once."""

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        """The engine."""
        return _AtOnceEngine(self.tokenizer(recipe))


class AtOnceByWords(AtOnce):
    """The same with a tokenizer that costs next to nothing."""

    def tokenizer(self, recipe: Recipe) -> Any:
        """The tokenizer."""
        return WordTokenizer()


class _AtOnceEngine:
    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        for request in requests:
            yield request.key, Completion("What is this text about?", 6, "stop", -0.5)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        raise NotImplementedError

    def close(self) -> None:
        pass


class Timed(LocalModels):
    """The models of this machine; how long the engine took to start is known."""

    starting = 0.0

    def engine(self, recipe: Recipe, weights: Path) -> Engine:
        """The engine."""
        started = time.monotonic()
        engine = super().engine(recipe, weights)
        self.starting = time.monotonic() - started
        return engine


def through(folder: Path, documents: int, models: LocalModels, *sets: str) -> dict[str, float]:
    """Seconds and processor seconds of a run over so many documents, and its peak memory."""
    run, recipe = Run(folder / "run"), recipe_of(*sets)
    corpus = folder / f"{documents}.jsonl"
    write_corpus(corpus, documents, 2)
    models.tokenizer(recipe)("warm", add_special_tokens=False)  # what is imported is not measured
    started, cpu = time.monotonic(), time.process_time()
    counts = backtranslate(run, recipe, models, [str(corpus)]).counts
    return {
        "seconds": time.monotonic() - started - getattr(models, "starting", 0.0),
        "cpu_seconds": time.process_time() - cpu,
        "segments": counts["candidates"],
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Most memory that this process held; `ru_maxrss` would count what its parent held too."""
    status = Path("/proc/self/status").read_text("utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def raw_vllm(folder: Path, documents: int) -> dict[str, float]:
    """One `LLM.generate` over the prompts of all segments at once; its seconds."""
    from synth.models.vllm_engine import _options
    from vllm import LLM, SamplingParams

    run, recipe = Run(folder / "run"), recipe_of("generate.engine=vllm")
    prompts = prompts_of(run, recipe, folder / f"{documents}.jsonl")
    llm = LLM(**_options(recipe, run.merged, adapted=False))
    parameters = [
        SamplingParams(temperature=0.0, seed=n, max_tokens=recipe.generate.max_new_tokens,
                       logprobs=0)
        for n in range(len(prompts))
    ]  # fmt: skip
    started = time.monotonic()
    llm.generate([{"prompt_token_ids": ids} for ids in prompts], parameters, use_tqdm=False)
    return {"seconds": time.monotonic() - started, "segments": len(prompts)}


def one_by_one(folder: Path, documents: int) -> dict[str, float]:
    """As the lesson generates: one prompt at a time through transformers' `generate`."""
    import torch

    from synth.models.loading import load_with_adapter

    run, recipe = Run(folder / "run"), recipe_of()
    prompts = prompts_of(run, recipe, folder / f"{documents}.jsonl")[: max(16, documents // 8)]
    model = load_with_adapter(recipe.model, run.adapter)
    started = time.monotonic()
    with torch.inference_mode():
        for ids in prompts:
            asked = torch.tensor([ids], device=model.device)
            model.generate(
                input_ids=asked,
                attention_mask=torch.ones_like(asked),
                max_new_tokens=recipe.generate.max_new_tokens,
                do_sample=False,
                pad_token_id=0,
            )
    return {"seconds": time.monotonic() - started, "segments": len(prompts)}


def prompts_of(run: Run, recipe: Recipe, corpus: Path) -> list[list[int]]:
    """The prompts of the corpus, as `backtranslate` makes them."""
    from synth.store.corpus import find_corpus, read_corpus

    adapter = read_adapter(run.adapter, recipe, LocalModels())
    asking = asking_of(recipe, LocalModels(), adapter)
    documents = read_corpus(find_corpus([str(corpus)], recipe.corpus), recipe.corpus)
    pieces = [
        s
        for d in documents
        if isinstance(d, Document)
        for s in cut(d, recipe.corpus).segments
        if not s.skip
    ]
    return [request.ids for _, requests in asking.of(pieces) for request in requests]


def child(work: str, folder: Path, documents: int) -> None:
    """One measurement, printed as JSON."""
    models = {"pipeline": AtOnce, "words": AtOnceByWords, "memory": AtOnce}.get(work, Timed)()
    sets = ["generate.engine=vllm", "generate.weights=merged"] if work == "vllm" else []
    if work == "raw_vllm":
        figures = raw_vllm(folder, documents)
    elif work == "one_by_one":
        figures = one_by_one(folder, documents)
    else:
        figures = through(folder, documents, models, *sets)
    print(json.dumps(figures))


def measured(work: str, documents: int, made: Path, folder: Path) -> dict[str, float]:
    """The figures of one measurement in a process of its own, in a run folder of its own."""
    if not (folder / "run").exists():
        shutil.copytree(made, folder / "run")
    command = [sys.executable, __file__, "--child", work, str(folder), str(documents)]
    command += [part for one in _SETS for part in ("--set", one)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(work, documents, output.strip().splitlines()[-1], file=sys.stderr, flush=True)
    return dict(json.loads(output.strip().splitlines()[-1]))


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("vllm", "transformers", "pipeline", "memory")
    parser.add_argument("--part", action="append", choices=parts)
    parser.add_argument("--segments", type=int, default=5000, help="of the vllm part")
    parser.add_argument("--texts", type=int, default=512, help="of the transformers part")
    parser.add_argument("--documents", type=int, default=200_000, help="of memory, at most")
    parser.add_argument("--set", action="append", default=[], help="section.key=value")
    parser.add_argument("--child", nargs=3, metavar=("WORK", "FOLDER", "N"))
    args = parser.parse_args()
    _SETS.extend(args.set)
    if args.child:
        child(args.child[0], Path(args.child[1]), int(args.child[2]))
        return
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        made = Run(top / "made")
        finetune(made, recipe_of(), LocalModels())
        merge(made, recipe_of(), LocalModels())

        def rate(work: str, documents: int, folder: str) -> float:
            found = measured(work, documents, made.folder, top / folder)
            return found["segments"] / found["seconds"]

        chosen = args.part or parts
        if "vllm" in chosen:
            ours = rate("vllm", args.segments, "vllm")
            raw = rate("raw_vllm", args.segments, "vllm")
            figures |= {"vllm_segments_per_s": ours, "raw_vllm_segments_per_s": raw}
            figures["vllm_of_raw_ratio"] = ours / raw
        if "transformers" in chosen:
            ours = rate("transformers", args.texts, "transformers")
            single = rate("one_by_one", args.texts, "transformers")
            figures |= {"transformers_segments_per_s": ours, "one_by_one_segments_per_s": single}
            figures["transformers_speedup_ratio"] = ours / single
        if "pipeline" in chosen:
            found = measured("pipeline", 50_000, made.folder, top / "pipeline")
            figures["pipeline_segments_per_cpu_s"] = found["segments"] / found["cpu_seconds"]
            found = measured("words", 50_000, made.folder, top / "words")
            figures["pipeline_without_tokenizer_segments_per_cpu_s"] = (
                found["segments"] / found["cpu_seconds"]
            )
        if "memory" in chosen:
            few = measured("memory", args.documents // 10, made.folder, top / "few")["peak_mib"]
            many = measured("memory", args.documents, made.folder, top / "many")["peak_mib"]
            figures |= {"peak_few_mib": few, "peak_many_mib": many}
            figures["memory_growth_ratio"] = many / few
    print(json.dumps({key: round(value, 3) for key, value in figures.items()}))


if __name__ == "__main__":
    main()
