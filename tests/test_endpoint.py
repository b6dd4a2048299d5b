"""The endpoint engine against a server on loopback that fails in every way it can be told to."""

import email.utils
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

import pytest

from synth.errors import EndpointError
from synth.models import endpoint_client
from synth.models.endpoint_engine import EndpointEngine
from synth.models.protocols import Question, Request, Score
from synth.prompt import Example
from synth.recipe import Recipe
from synth.records import Completion
from tests.conftest import ROOT

KEY = "sk-very-secret-0123456789"


@dataclass
class Fault:
    """An answer that is none: a status, 0 to drop the connection, or -1 to keep silent."""

    status: int
    body: bytes = b'{"error": {"message": "out of\\n luck"}}'
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Script:
    """What the server does with a prompt, by its first token; what it saw."""

    faults: dict[int, list[Fault]] = field(default_factory=dict)
    always: Fault | None = None
    models: list[str] = field(default_factory=lambda: ["reverse"])
    change: dict[str, Any] = field(default_factory=dict)
    delay: float = 0.0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)
    at_once: int = 0
    most: int = 0
    times: list[float] = field(default_factory=list)
    silence: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def asked(self) -> Counter[int]:
        """How often each prompt came."""
        return Counter(body["prompt"][0] for body in self.bodies)

    def fault(self, first: int) -> Fault | None:
        waiting = self.faults.get(first)
        return waiting.pop(0) if waiting else self.always


def choice(body: dict[str, Any]) -> dict[str, Any]:
    first = body["prompt"][0]
    told: dict[str, Any] = {
        "text": f" What is {first}?\n",
        "finish_reason": "stop" if first % 2 else "length",
        "logprobs": {"token_logprobs": [None, -0.5, -1.5]},
    }
    if "prompt_logprobs" in body:
        told["prompt_logprobs"] = [
            {str(token): {"logprob": -token / 4, "rank": 1}} if i else None
            for i, token in enumerate(body["prompt"])
        ]
    return told


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    script: Script

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        assert self.path == "/v1/models"
        self.script.keys.add(self.headers.get("Authorization"))
        self._answer(200, json.dumps({"data": [{"id": n} for n in self.script.models]}).encode())

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        script = self.script
        with script.lock:
            script.at_once += 1
            script.most = max(script.most, script.at_once)
            script.bodies.append(body)
            script.times.append(time.monotonic())
            script.keys.add(self.headers.get("Authorization"))
            fault = script.fault(body["prompt"][0])
        time.sleep(script.delay)
        with script.lock:
            script.at_once -= 1
        if fault is None:
            told = {"choices": [choice(body)], "usage": {"completion_tokens": 3}, **script.change}
            self._answer(200, json.dumps(told).encode())
        elif fault.status > 0:
            self._answer(fault.status, fault.body, fault.headers)
        else:
            if fault.status < 0:
                script.silence.wait(20)
            self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that are gone are what some tests are about


@contextmanager
def served(script: Script) -> Iterator[Script]:
    handler = type("Handler", (_Handler,), {"script": script})
    with _Server(("127.0.0.1", 0), handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield script
        finally:
            script.silence.set()
            server.shutdown()
            thread.join()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    before = set(threading.enumerate())
    with served(Script()) as script:
        yield script
    left = [t.name for t in set(threading.enumerate()) - before]
    assert [name for name in left if "process_request" not in name] == []


def recipe(script: Script, stall_seconds: float = 30.0, **endpoint: Any) -> Recipe:
    settings = {"url": script.url, "retries": 0, "concurrency": 4, **endpoint}
    return Recipe.model_validate(
        {
            "name": "tiny",
            "about": "For tests.",
            "model": {"base": str(ROOT / "data" / "nano")},
            "pairs": {"sources": [{"path": "none.jsonl"}]},
            "generate": {
                "engine": "endpoint",
                "temperature": 0.5,
                "top_p": 0.8,
                "max_new_tokens": 9,
                "stall_seconds": stall_seconds,
                "endpoint": settings,
            },
        }
    )


def engine(script: Script, stall_seconds: float = 30.0, **endpoint: Any) -> Any:
    return closing(EndpointEngine(recipe(script, stall_seconds, **endpoint)))


def requests(keys: Iterable[int]) -> Iterator[Request]:
    return (Request([key, 7, 8], 2**63 + key, key) for key in keys)


def good(key: int) -> Completion:
    return Completion(f"What is {key}?", 3, "stop" if key % 2 else "length", -1.0)


def failed(line: str) -> Completion:
    return Completion("", 0, "error", 0.0, error=line)


def refused(script: Script, keys: Iterable[int] = (1,), **endpoint: Any) -> str:
    """The one line of the EndpointError that generating ends in."""
    with pytest.raises(EndpointError) as caught, engine(script, **endpoint) as asked:
        list(asked.generate(requests(keys)))
    line = str(caught.value)
    assert "\n" not in line
    assert KEY not in line
    assert len(line) < 500
    return line


def test_a_request_goes_out_whole_and_comes_back_as_a_completion(script: Script) -> None:
    with engine(script) as asked:
        found = dict(asked.generate(requests([1, 2])))
        assert len(asked.tokenizer("a b", add_special_tokens=False)["input_ids"]) > 0
    assert found == {1: good(1), 2: good(2)}
    assert sorted(script.bodies, key=lambda body: body["seed"]) == [
        {
            "model": "reverse",
            "prompt": [key, 7, 8],
            "temperature": 0.5,
            "top_p": 0.8,
            "seed": key,
            "max_tokens": 9,
            "logprobs": 1,
        }
        for key in (1, 2)
    ]
    assert script.keys == {f"Bearer {KEY}"}


def test_greedy_decoding_has_no_nucleus(script: Script) -> None:
    tree = recipe(script).model_dump()
    tree["generate"]["temperature"] = 0.0
    with closing(EndpointEngine(Recipe.model_validate(tree))) as asked:
        list(asked.generate(requests([1])))
    assert (script.bodies[0]["temperature"], script.bodies[0]["top_p"]) == (0.0, 1.0)


def test_without_a_key_none_is_sent(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with engine(script, model="some") as asked:
        list(asked.generate(requests([1])))
    assert script.keys == {"Bearer none"}
    assert script.bodies[0]["model"] == "some"


def test_without_usage_the_log_probabilities_are_counted(script: Script) -> None:
    script.change = {"usage": None}
    with engine(script) as asked:
        assert [c.tokens for _, c in asked.generate(requests([1]))] == [2]


def test_what_fails_is_asked_again_and_what_goes_on_failing_is_an_error(script: Script) -> None:
    huge = b'{"error": {"message": "' + b"x y " * 1_000_000 + b'"}}'
    script.faults = {
        1: [Fault(429, headers={"Retry-After": "1"})],
        2: [Fault(500), Fault(503)],
        3: [Fault(0)],
        4: [Fault(400, json.dumps({"error": {"message": f"no\nroom for {KEY}"}}).encode())],
        5: [Fault(500)] * 3,
        6: [Fault(200, b"<html>Welcome</html>")] * 3,
        7: [Fault(400, huge)],
        8: [Fault(0)] * 3,
        9: [Fault(422, b"plain")],
        11: [Fault(200, b'{"choices": [{"te'), Fault(200, b" ")],
        12: [Fault(200, b" ")] * 3,
        13: [Fault(200, b"{}")],
    }
    with engine(script, retries=2, concurrency=13) as asked:
        found = dict(asked.generate(requests(range(14))))
    assert found.pop(8).error.startswith("Connection error. (")
    assert found == {
        **{key: good(key) for key in (0, 1, 2, 3, 10, 11)},
        4: failed("400: no room for ***"),
        5: failed("500: out of luck"),
        6: failed("an answer that cannot be read: <html>Welcome</html>"),
        7: failed(("400: " + "x y " * 50)[:200]),
        9: failed("422: plain"),
        12: failed("an empty answer"),
        13: failed("an answer that cannot be read: {}"),
    }
    often = {1: 2, 2: 3, 3: 2, 5: 3, 6: 3, 8: 3, 11: 3, 12: 3}
    assert script.asked() == {key: often.get(key, 1) for key in range(14)}
    first, second = (
        at for at, body in zip(script.times, script.bodies, strict=True) if body["prompt"][0] == 1
    )
    assert 1.0 <= second - first < 2.0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"refuses the key \(401: .*\*\*\*.*OPENAI_API_KEY"),
        (403, r"refuses the key \(403: .*OPENAI_API_KEY"),
        (404, r"no such model .*\(404: .*generate.endpoint.model"),
        (405, r"no completions API \(405: .*generate.endpoint.url"),
    ],
)
def test_what_concerns_every_request_ends_the_run(script: Script, status: int, said: str) -> None:
    body = json.dumps({"error": {"message": f"{KEY} is {'not known ' * 99}"}}).encode()
    script.faults = {3: [Fault(status, body)]}
    line = refused(script, range(99), retries=2)
    assert line.startswith(script.url)
    assert re.search(said, line)
    assert script.asked()[3] == 1


def test_a_redirect_is_not_followed(script: Script) -> None:
    with served(Script()) as elsewhere:
        to = elsewhere.url + "/completions"
        script.always = Fault(307, headers={"Location": f"{to}?token=1"})
        assert f"redirects to {to};" in refused(script)
    assert (elsewhere.bodies, elsewhere.keys) == ([], set())


def test_a_server_that_is_not_there(script: Script) -> None:
    with served(Script()) as gone:
        pass
    for model in (None, "some"):
        line = refused(gone, model=model)
        assert line.startswith(f"{gone.url}: cannot be reached: Connection error.")
        assert "start the server" in line


def test_a_silent_server_hangs(script: Script) -> None:
    script.faults = {key: [Fault(-1)] for key in range(2, 99)}
    start = time.monotonic()
    assert "hangs: no answer for 0.3 seconds" in refused(script, range(99), stall_seconds=0.3)
    assert 0.3 <= time.monotonic() - start < 2
    assert len(script.bodies) == 6


def test_one_request_without_an_answer_is_an_error(script: Script) -> None:
    script.faults = {2: [Fault(-1)]}
    with engine(script, timeout=0.3) as asked:
        found = dict(asked.generate(requests(range(5))))
    assert found.pop(2).error.startswith("Request timed out.")
    assert found == {key: good(key) for key in (0, 1, 3, 4)}


def test_eight_failures_and_no_success_are_a_broken_server(script: Script) -> None:
    script.always = Fault(400)
    assert "8 requests in a row failed, the last with 400: out of luck" in refused(
        script, range(99)
    )
    assert 8 <= len(script.bodies) <= 16
    with engine(script) as asked:
        assert dict(asked.generate(requests(range(7)))) == {
            key: failed("400: out of luck") for key in range(7)
        }


def test_a_server_that_has_served_may_refuse_but_not_break(script: Script) -> None:
    with engine(script, concurrency=1) as asked:
        list(asked.generate(requests([1])))
        script.always = Fault(400)
        assert len(list(asked.generate(requests(range(40))))) == 40
        script.always = None
        script.faults = {key: [Fault(500)] for key in range(0, 40, 2)}
        assert len(list(asked.generate(requests(range(40))))) == 40
        script.always = Fault(500)
        with pytest.raises(EndpointError, match="10 requests in a row failed, the last with 500"):
            list(asked.generate(requests(range(40))))


def test_requests_are_read_and_sent_as_far_as_there_is_room(script: Script) -> None:
    script.delay = 0.02
    read: list[int] = []

    def source() -> Iterator[Request]:
        for request in requests(count()):
            read.append(request.key)
            yield request

    with engine(script, concurrency=3) as asked:
        results = asked.generate(source())
        assert read == []
        next(results)
        assert 4 <= len(read) <= 6
        for done in range(2, 30):
            next(results)
            assert len(read) <= done + 6
        results.close()
    assert script.most == 3


def test_closing_early_cancels_what_is_under_way(script: Script) -> None:
    script.faults = {key: [Fault(-1)] for key in range(1, 99)}
    with engine(script) as asked:
        results = asked.generate(requests(count()))
        assert next(results) == (0, good(0))
        start = time.monotonic()
        results.close()
        assert time.monotonic() - start < 1
        assert dict(asked.generate(requests([0]))) == {0: good(0)}
        asked.generate(requests(count()))  # never begun
    asked.close()  # a second time


def test_the_only_model_is_taken_and_several_are_listed(script: Script) -> None:
    script.models = ["base", "reverse"]
    assert "serves base, reverse; set generate.endpoint.model" in refused(script)
    script.models = []
    assert "serves no model; set generate.endpoint.model" in refused(script)


def test_the_client_gives_up_on_long_waits_and_they_are_waited_for_here(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    from openai import _base_client, _constants

    assert endpoint_client._CLIENT_WAITS == _constants.MAX_RETRY_AFTER_DELAY
    monkeypatch.setattr(_base_client, "MAX_RETRY_AFTER_DELAY", 0.1)
    monkeypatch.setattr(endpoint_client, "_CLIENT_WAITS", 0.1)
    wait = Fault(429, headers={"Retry-After": "0.4"})
    script.faults = {1: [wait] * 2, 2: [wait] * 3}
    with engine(script, retries=2) as asked:
        assert dict(asked.generate(requests([1, 2]))) == {1: good(1), 2: failed("429: out of luck")}
    assert script.times[-1] - script.times[0] >= 0.8
    assert script.asked() == {1: 3, 2: 3}


def test_being_told_to_wait_is_not_hanging_but_for_too_long_is_an_error(script: Script) -> None:
    script.faults = {1: [Fault(503, headers={"Retry-After": "1"})]}
    with engine(script, stall_seconds=0.6, retries=1) as asked:
        assert dict(asked.generate(requests([1]))) == {1: good(1)}
    script.faults = {1: [Fault(429, headers={"Retry-After": "3600"})]}
    assert "asks to wait 3600 seconds (429); run the stage again" in refused(script, retries=1)


def test_retry_after_is_a_number_or_a_date() -> None:
    def seconds(text: str) -> float:
        return endpoint_client._retry_after({"retry-after": text})

    assert endpoint_client._retry_after({}) == 0
    assert [seconds(t) for t in ("2.5", "-3", "nan", "inf", "soon", "")] == [2.5, 0, 0, 0, 0, 0]
    assert 98 < seconds(email.utils.formatdate(time.time() + 100, usegmt=True)) <= 100
    assert seconds("Mon, 01 Jan 2001 00:00:00 GMT") == 0


EXAMPLE = Example([1, 2, 3, 4], [-100, -100, 3, 4], False)


def test_a_score_is_the_loss_of_the_supervised_tokens(script: Script) -> None:
    with engine(script) as asked:
        questions = [Question(EXAMPLE, key=5), Question(EXAMPLE.over_whole_text(), key=6)]
        assert dict(asked.score(questions)) == {5: Score(7 / 4, 2), 6: Score(9 / 4, 3)}
    sent = {"prompt": [1, 2, 3, 4], "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
    assert script.bodies == [{"model": "reverse", **sent}] * 2


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "returns no prompt_logprobs; set generate.scores to []"),
        ([None, {"2": {"logprob": -1}}], "returns no prompt_logprobs; set generate.scores to []"),
        (Fault(400), "cannot score: 400: out of luck; set generate.scores to []"),
    ],
)
def test_a_server_that_cannot_score(script: Script, told: Any, said: str) -> None:
    if isinstance(told, Fault):
        script.always = told
    else:
        script.change = {"choices": [{"text": "", "prompt_logprobs": told}]}
    with engine(script) as asked, pytest.raises(EndpointError) as caught:
        list(asked.score([Question(EXAMPLE)]))
    assert said in str(caught.value)


def test_the_base_model_is_not_there(script: Script) -> None:
    with engine(script) as asked, pytest.raises(EndpointError, match="ifd needs the base model"):
        list(asked.score([Question(EXAMPLE, adapter=False)]))
    assert script.bodies == []


@pytest.mark.parametrize("told", [None, {"token_logprobs": []}, {"token_logprobs": [None]}])
def test_a_server_without_log_probabilities(script: Script, told: Any) -> None:
    script.change = {"choices": [{"text": "a", "logprobs": told}]}
    assert "returns no log-probabilities" in refused(script)


def test_an_empty_completion_needs_no_log_probabilities(script: Script) -> None:
    script.change = {"choices": [{"text": "", "logprobs": {"token_logprobs": []}}]}
    with engine(script) as asked:
        assert [(c.text, c.logprob) for _, c in asked.generate(requests([1]))] == [("", 0.0)]


def test_what_cannot_be_right_is_said_at_once(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in (
        "localhost:8000/v1",
        "ftp://host/v1",
        "http://[::1/v1",
        "http://host:port/v1",
        "",
        "http:///v1",
    ):
        assert "generate.endpoint.url is not an address" in refused(script, url=url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-\u00fc")
    assert "OPENAI_API_KEY holds characters" in refused(script)
    monkeypatch.setitem(sys.modules, "openai", None)
    assert "install synth[endpoint]" in refused(script)


def test_user_and_password_of_an_address_are_not_shown(script: Script) -> None:
    script.always = Fault(404)
    with_password = script.url.replace("://", "://me:pass@")
    assert refused(script, url=with_password).startswith(script.url)
