"""Requests -> completions with vLLM: one engine a run, prefix caching, the adapter through LoRA."""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from synth.errors import ModelError
from synth.models.loading import device, load_tokenizer
from synth.models.naming import is_adapter, merged_model, source
from synth.models.protocols import Request
from synth.recipe import Recipe
from synth.records import Completion

_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # the LoRA ranks that vLLM compiles for


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

        from vllm import LLM

        self.tokenizer = load_tokenizer(recipe.model)
        self._settings = settings = recipe.generate
        adapted = is_adapter(weights)
        model = recipe.model if adapted else merged_model(recipe.model, weights)
        options: dict[str, Any] = {
            "max_model_len": settings.max_tokens + settings.max_new_tokens,
            "dtype": model.dtype,
            "seed": settings.seed,
            "enable_prefix_caching": True,
            "quantization": "bitsandbytes" if model.quantization == "nf4" else None,
        }
        if device() == "cpu":  # a share of the machine's memory, which others use too
            options["gpu_memory_utilization"] = 0.3
        if adapted:
            rank = next(r for r in _RANKS if r >= recipe.finetune.lora.r)
            options |= {"enable_lora": True, "max_loras": 1, "max_lora_rank": rank}
        options |= settings.vllm
        try:
            self._llm = LLM(
                model=source(model.base),
                revision=model.revision,
                tokenizer=source(model.tokenizer or model.base),
                **options,
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(
                f"{model.base}: vLLM did not start: {' '.join(str(error).split()):.200};"
                " see its log above, or use --set generate.engine=transformers"
            ) from error
        self._lora = LoRARequest("reverse", 1, str(weights)) if adapted else None

    def generate(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion per request, in their order."""
        from vllm import SamplingParams

        settings = self._settings
        parameters = [
            SamplingParams(
                temperature=settings.temperature,
                top_p=settings.top_p if settings.temperature > 0 else 1.0,
                seed=request.seed % 2**63,
                max_tokens=settings.max_new_tokens,
                logprobs=0,
            )
            for request in requests
        ]
        outputs = self._llm.generate(
            [{"prompt_token_ids": request.ids} for request in requests],
            parameters,
            lora_request=self._lora,
            use_tqdm=False,
        )
        return [_completion(output.outputs[0]) for output in outputs]

    def close(self) -> None:
        """Ends the engine's processes."""
        self._llm.llm_engine.engine_core.shutdown()


def _completion(output: Any) -> Completion:  # noqa: ANN401
    tokens = max(1, len(output.token_ids))
    finish = "stop" if output.finish_reason == "stop" else "length"
    return Completion(
        output.text.strip(),
        len(output.token_ids),
        finish,
        (output.cumulative_logprob or 0.0) / tokens,
    )
