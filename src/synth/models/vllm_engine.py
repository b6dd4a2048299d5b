"""Stream of requests -> completions with vLLM's asynchronous engine, which is never left idle.

One engine a run, with prefix caching and the adapter through LoRA; requests are fed as others
finish, so no chunk has to end before the next begins.
"""

import importlib.util
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from synth.errors import ModelError
from synth.models.feeding import LoopThread, feed
from synth.models.loading import device, load_tokenizer
from synth.models.naming import is_adapter, merged_model, source
from synth.models.protocols import Question, Request, Score
from synth.recipe import Recipe
from synth.records import Completion

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the LoRA ranks that vLLM compiles for
_SEQUENCES = 256  # of a step, where the recipe says nothing: what vLLM takes by itself
_AHEAD = 2  # times what runs is kept waiting inside the engine, so that it never starves


class VllmEngine:
    """vLLM over an adapter on the recipe's base, or over a merged model."""

    def __init__(self, recipe: Recipe, weights: Path) -> None:
        if importlib.util.find_spec("vllm") is None:
            raise ModelError(
                "vllm is not installed; install synth[vllm],"
                " or use --set generate.engine=transformers"
            )
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        from vllm.lora.request import LoRARequest

        self.tokenizer = load_tokenizer(recipe.model)
        self._settings = recipe.generate
        self._name = recipe.model.base
        self._adapted = is_adapter(weights)
        options = _options(recipe, weights, adapted=self._adapted)
        self._width = _AHEAD * int(options["max_num_seqs"])
        self._lora = LoRARequest("reverse", 1, str(weights)) if self._adapted else None
        self._thread = LoopThread("vllm")
        try:
            self._engine = self._thread.run(_start(options))
        except (RuntimeError, ValueError, OSError) as error:
            self._thread.close()
            raise ModelError(
                f"{self._name}: vLLM did not start: {' '.join(str(error).split()):.200};"
                " see its log, or use --set generate.engine=transformers"
            ) from error

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions by key as they finish; see `protocols.Engine`."""
        yield from self._feed(requests, self._complete)

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        """Losses by key as they are found; see `protocols.Engine`."""
        yield from self._feed(questions, self._measure)

    def close(self) -> None:
        """Ends the engine's processes."""
        self._engine.shutdown()
        self._thread.close()

    def _feed(self, items: Iterable[Any], work: Any) -> Iterator[Any]:  # noqa: ANN401
        from vllm.v1.engine.exceptions import EngineDeadError

        hung = ModelError(
            f"{self._name}: vLLM finished nothing for {self._settings.stall_seconds:g} s and seems"
            " to hang; what is done is kept, the same command goes on"
        )
        try:
            yield from feed(
                items, work, self._width, self._thread.loop, self._settings.stall_seconds, hung
            )
        except EngineDeadError as error:
            raise ModelError(
                f"{self._name}: vLLM died; what is done is kept, the same command goes on; its log"
                " may say why"
            ) from error

    async def _complete(self, request: Request) -> tuple[int, Completion]:
        from vllm.exceptions import VLLMClientError
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineGenerateError

        from vllm import SamplingParams

        settings = self._settings
        parameters = SamplingParams(
            temperature=settings.temperature,
            top_p=settings.top_p if settings.temperature > 0 else 1.0,
            seed=request.seed % 2**63,
            max_tokens=settings.max_new_tokens,
            logprobs=0,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        try:
            output = await self._output(f"g{request.key}", request.ids, parameters, self._lora)
        except (VLLMClientError, EngineGenerateError, ValueError) as error:  # this request's own
            said = " ".join(str(error).split()) or type(error).__name__
            return request.key, Completion("", 0, "error", 0.0, said[:200])
        return request.key, _completion(output.outputs[0])

    async def _measure(self, question: Question) -> tuple[int, Score]:
        from vllm import SamplingParams

        if not question.adapter and not self._adapted:
            raise ModelError(
                "a merged model has no base to compare with; set generate.weights to adapter, or"
                " leave ifd out of generate.scores"
            )
        ids, labels = question.example.input_ids, question.example.labels
        parameters = SamplingParams(
            temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False
        )
        lora = self._lora if question.adapter else None
        output = await self._output(f"s{question.key}", ids, parameters, lora)
        nats, tokens = 0.0, 0
        for token, label, found in zip(ids, labels, output.prompt_logprobs, strict=True):
            if label != -100:
                nats -= found[token].logprob
                tokens += 1
        return question.key, Score(nats, tokens)

    async def _output(self, name: str, ids: list[int], parameters: Any, lora: Any) -> Any:  # noqa: ANN401
        prompt = {"prompt_token_ids": ids}
        outputs = self._engine.generate(prompt, parameters, name, lora_request=lora)
        return [output async for output in outputs][-1]


async def _start(options: dict[str, Any]) -> Any:  # noqa: ANN401
    from vllm.v1.engine.async_llm import AsyncLLM

    from vllm import AsyncEngineArgs

    return AsyncLLM.from_engine_args(AsyncEngineArgs(**options))


def _options(recipe: Recipe, weights: Path, *, adapted: bool) -> dict[str, Any]:
    """VLLM's engine arguments; those of the recipe win."""
    settings = recipe.generate
    model = recipe.model if adapted else merged_model(recipe.model, weights)
    options: dict[str, Any] = {
        "model": source(model.base),
        "revision": model.revision,
        "tokenizer": source(model.tokenizer or model.base),
        "max_model_len": settings.max_tokens + settings.max_new_tokens,
        "max_num_seqs": _SEQUENCES,
        "dtype": model.dtype,
        "seed": settings.seed,
        "enable_prefix_caching": True,
        "disable_log_stats": True,
        "quantization": "bitsandbytes" if model.quantization == "nf4" else None,
    }
    if device() == "cpu":  # a share of the machine's memory, which others use too
        options["gpu_memory_utilization"] = 0.3
    if adapted:
        rank = next(r for r in _RANKS if r >= recipe.finetune.lora.r)
        options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
    return options | settings.vllm


def _completion(output: Any) -> Completion:  # noqa: ANN401
    tokens = max(1, len(output.token_ids))
    finish = "stop" if output.finish_reason == "stop" else "length"
    return Completion(
        output.text.strip(),
        len(output.token_ids),
        finish,
        (output.cumulative_logprob or 0.0) / tokens,
    )
