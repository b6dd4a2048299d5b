"""Requests -> completions with any OpenAI-compatible server, through its completions API.

Prompts go there as token ids, so the server sees exactly what the model was trained on. What a
recipe does not say is the server's choice: vLLM takes `top_k`, penalties and the like from the
model's `generation_config.json`, unless started with `--generation-config vllm`. Log-probabilities
are the server's too: vLLM's are at temperature 1, before top-p, unless `--logprobs-mode` says
otherwise. Seeds have 63 bits; a server that keeps fewer draws by what it keeps.
"""

import asyncio
import contextlib
import importlib.util
import math
from collections.abc import Callable, Iterable, Iterator

from pydantic import BaseModel, Field

from synth.errors import EndpointError
from synth.models.endpoint_client import EndpointClient, RequestFailed
from synth.models.feeding import LoopThread, feed
from synth.models.loading import load_tokenizer
from synth.models.protocols import Question, Request, Score
from synth.recipe import Recipe
from synth.records import Completion

_BROKEN = 8  # failures in a row, before any success, that make a server a broken one
_NO_SCORE = "cannot score: {}; set generate.scores to [], or serve with vLLM"


class EndpointEngine:
    """An OpenAI-compatible server that has loaded the weights by itself."""

    def __init__(self, recipe: Recipe) -> None:
        if importlib.util.find_spec("openai") is None:
            raise EndpointError(
                "openai is not installed; install synth[endpoint],"
                " or use --set generate.engine=transformers"
            )
        self.tokenizer = load_tokenizer(recipe.model)
        self._settings = settings = recipe.generate
        self._width = settings.endpoint.concurrency
        self._server = EndpointClient(settings.endpoint, settings.stall_seconds)
        self._served = False
        self._failures = 0  # in a row
        self._thread = LoopThread("synth-endpoint")
        with contextlib.ExitStack() as undo:
            undo.callback(self.close)
            self._model = settings.endpoint.model or self._thread.run(self._only_model())
            undo.pop_all()

    def generate(self, requests: Iterable[Request]) -> Iterator[tuple[int, Completion]]:
        """Completions by key, as they come.

        A request that the server refuses, or fails on again and again, has the finish `error`.

        Raises:
            EndpointError: When the server is gone, refuses or fails everything, or hangs.
        """
        return feed(requests, self._complete, self._width, *self._watch())

    def score(self, questions: Iterable[Question]) -> Iterator[tuple[int, Score]]:
        """What each example's supervised tokens cost, by key; needs vLLM's `prompt_logprobs`.

        Raises:
            EndpointError: When the server cannot score, fails, is gone or hangs; for the base.
        """
        return feed(questions, self._cost, self._width, *self._watch())

    def close(self) -> None:
        """Cancels what is under way and ends the connections."""
        if not self._thread.loop.is_closed():
            self._thread.run(self._server.close())
        self._thread.close()

    def _watch(self) -> tuple[asyncio.AbstractEventLoop, float, EndpointError, Callable[[], float]]:
        """The loop, and what `feed` needs to know of hanging."""
        seconds = self._settings.stall_seconds
        hung = EndpointError(
            f"{self._server.place}: hangs: no answer for {seconds:g} seconds; see the server's log"
            " and run the stage again, or raise generate.stall_seconds"
        )
        return self._thread.loop, seconds, hung, lambda: self._server.alive

    async def _complete(self, request: Request) -> tuple[int, Completion]:
        settings = self._settings
        try:
            choice, tokens = await self._ask(
                request.ids,
                temperature=settings.temperature,
                top_p=settings.top_p if settings.temperature > 0 else 1.0,
                seed=request.seed % 2**63,
                max_tokens=settings.max_new_tokens,
                logprobs=1,
            )
        except RequestFailed as failure:
            self._count(failure)
            return request.key, Completion("", 0, "error", 0.0, error=str(failure))
        self._served, self._failures = True, 0
        told = choice.logprobs.token_logprobs if choice.logprobs else []
        text, logprobs = choice.text.strip(), [value for value in told if value is not None]
        if choice.logprobs is None or (text and not logprobs):
            raise EndpointError(
                f"{self._server.place}: returns no log-probabilities, by which completions are"
                " ranked and rejected; start the server so that it does, or use another"
            )
        return request.key, Completion(
            text,
            len(logprobs) if tokens is None else tokens,
            "stop" if choice.finish_reason == "stop" else "length",
            sum(logprobs) / max(1, len(logprobs)),
        )

    def _count(self, failure: RequestFailed) -> None:
        """Gives up on a broken server; one that has served may meet any number of bad requests."""
        if self._served and failure.own_fault:
            return
        self._failures += 1
        if self._failures >= (_BROKEN + 2 * self._width if self._served else _BROKEN):
            raise EndpointError(
                f"{self._server.place}: {self._failures} requests in a row failed, the last with"
                f" {failure}; see the server's log, then run the stage again"
            )

    async def _cost(self, question: Question) -> tuple[int, Score]:
        if not question.adapter:
            raise EndpointError(
                "ifd needs the base model, which an endpoint does not serve beside the adapter;"
                " take ifd out of generate.scores"
            )
        ids, labels = question.example.input_ids, question.example.labels
        try:
            choice, _ = await self._ask(ids, temperature=0.0, max_tokens=1, prompt_logprobs=0)
        except RequestFailed as failure:
            raise EndpointError(f"{self._server.place}: {_NO_SCORE.format(failure)}") from None
        nats = [
            -found[str(label)].logprob
            for found, label in zip(choice.prompt_logprobs or [], labels, strict=False)
            if found and str(label) in found  # -100 is no token
        ]
        if len(nats) != sum(label != -100 for label in labels):
            why = "it returns no prompt_logprobs"
            raise EndpointError(f"{self._server.place}: {_NO_SCORE.format(why)}")
        return question.key, Score(math.fsum(nats), len(nats))

    async def _ask(self, ids: list[int], **options: float) -> tuple["_Choice", int | None]:
        """What the server makes of the prompt, and how many tokens it generated, if it says so."""
        body = {"model": self._model, "prompt": ids, **options}
        answer = await self._server.call("/completions", _Answer, body)
        return answer.choices[0], answer.usage.completion_tokens if answer.usage else None

    async def _only_model(self) -> str:
        try:
            listed = await self._server.call("/models", _Models)
        except RequestFailed as failure:
            raise EndpointError(
                f"{self._server.place}: lists no models: {failure}; set generate.endpoint.model"
            ) from None
        names = [entry.id for entry in listed.data]
        if len(names) != 1:
            raise EndpointError(
                f"{self._server.place}: serves {', '.join(names) or 'no model':.300};"
                " set generate.endpoint.model to the one that is meant"
            )
        return names[0]


class _Logprobs(BaseModel):
    token_logprobs: list[float | None]


class _PromptLogprob(BaseModel):
    logprob: float


class _Choice(BaseModel):
    text: str
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None
    prompt_logprobs: list[dict[str, _PromptLogprob] | None] | None = None


class _Usage(BaseModel):
    completion_tokens: int


class _Answer(BaseModel):
    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Entry(BaseModel):
    id: str


class _Models(BaseModel):
    data: list[_Entry]
