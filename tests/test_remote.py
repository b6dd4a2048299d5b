"""Corpora in object stores: they read as the same files on disk do, whatever the network does."""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
import pytest

from synth.errors import InputError
from synth.records import BadLine, Document
from synth.settings import Corpus
from synth.stages.backtranslate import backtranslate
from synth.store import remote
from synth.store.corpus import FileSource, Source, find_corpus, read_corpus
from synth.store.pieces import FileRange, FileRows, divide, numbered
from synth.store.remote import RemoteFile
from tests.hub import Hub
from tests.hub.client import script
from tests.stores import GS, S3, Store, running, upload
from tests.test_corpus import ROWS, write
from tests.test_pieces import files, whole_lines
from tests.test_shards import copy_of, lines, recipe_of, rows
from tests.test_stages import Scripted

ROOT = "://bucket/corpus"


@pytest.fixture(scope="module", params=["s3", "gs"])
def opened(request: pytest.FixtureRequest) -> Iterator[tuple[str, Store]]:
    with running({"s3": S3, "gs": GS}[request.param]) as store, pytest.MonkeyPatch.context() as env:
        env.setenv("NO_PROXY", "*")
        env.setenv("AWS_ENDPOINT_URL", store.address)
        env.setenv("AWS_ACCESS_KEY_ID", "key")
        env.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        env.setenv("AWS_DEFAULT_REGION", "us-east-1")
        env.setenv("STORAGE_EMULATOR_HOST", store.address)
        # The emulator speaks no gRPC, with which this would be found out.
        env.setenv("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        yield request.param, store


@pytest.fixture
def store(
    opened: tuple[str, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Store]:
    """A store with `corpus/` in its bucket, which is also a folder here."""
    scheme, store = opened
    monkeypatch.setattr(remote, "_WAITS", (0.0, 0.0))
    folder = tmp_path / "corpus"
    files(folder)
    for name in ("g.jsonl.gz", "h.csv.zst", "sub/deep/i.jsonl", ".hidden.jsonl", "j.pdf"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / name, ROWS)
    upload(folder, scheme + ROOT)
    store.faults.clear()
    store.sent.clear()
    yield store
    from fsspec.core import url_to_fs

    system, root = url_to_fs(scheme + ROOT)
    system.rm(root, recursive=True)


@pytest.fixture
def url(store: Store, opened: tuple[str, Store]) -> str:
    return opened[0] + ROOT


def found(*names: str) -> list[Source]:
    return find_corpus(names, Corpus())


def items(sources: list[Source]) -> list[Document | BadLine]:
    return list(read_corpus(sources, Corpus()))


def called(local: list[Document | BadLine], url: str) -> list[Document | BadLine]:
    """Local items by the names that they have in the store, which are the ids of texts."""
    found: list[Document | BadLine] = []
    for item in local:
        place = f"{url}/{item.place}"
        if isinstance(item, Document) and item.place.endswith(".txt"):
            found.append(item._replace(place=place, id=place))
        else:
            found.append(item._replace(place=place))
    return found


EVERY = [
    "a.jsonl", "b.jsonl", "c.csv", "d.parquet", "e.parquet", "f0.txt", "f1.txt", "f2.txt", "f3.txt",
    "f4.txt", "g.jsonl.gz", "h.csv.zst", "sub/deep/i.jsonl",
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["{}"], EVERY),
        (["{}/"], EVERY),
        (["{}/**"], EVERY),
        (["{}/**/*"], EVERY),
        (["{}/*"], EVERY[:-1]),
        (["{}/**.jsonl"], EVERY[:2]),
        (["{}/**/*.jsonl"], [*EVERY[:2], EVERY[-1]]),
        (["{}/s?b/*/*"], EVERY[-1:]),
        (["{}/f[12]*"], ["f1.txt", "f2.txt"]),
        (["{}/.hidden.jsonl"], [".hidden.jsonl"]),
        (["{}/b.jsonl", "{}/*.jsonl"], ["b.jsonl", "a.jsonl"]),
    ],
)
def test_names_stand_for_objects(given: list[str], expected: list[str], url: str) -> None:
    sources = found(*(name.format(url) for name in given))
    assert [source.name for source in sources] == [f"{url}/{name}" for name in expected]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("{}/none.jsonl", "{}/none.jsonl: no such object; check bucket and name"),
        ("{}/j.pdf", "{}/j.pdf: not a format that synth reads; convert it to one of .jsonl"),
        ("{}/*.pdf", "{}/*.pdf: no file there that synth reads; it reads .jsonl"),
        ("{}-none/", "{}-none/: no such object; check bucket and name"),
        ("s4://b/c", "s4://b/c: no store that synth reads; it reads s3://, gs://, hf://, http://,"),
    ],
)
def test_urls_that_stand_for_nothing_are_errors(given: str, message: str, url: str) -> None:
    with pytest.raises(InputError) as error:
        found(given.format(url))
    assert str(error.value).startswith(message.format(url))


def test_a_corpus_in_a_store_reads_as_on_disk(store: Store, url: str, tmp_path: Path) -> None:
    local, there = found(str(tmp_path / "corpus")), found(url)
    expected = called(items(local), url)
    assert {type(item) for item in expected} == {Document, BadLine}
    told: list[int] = []
    sources = pickle.loads(pickle.dumps(there))
    assert list(read_corpus(sources, Corpus(), told.append)) == expected
    assert any(item.place == f"{url}/a.jsonl:3" for item in expected if isinstance(item, BadLine))
    assert sum(told) == sum(source.size for source in local) == sum(s.size for s in there)


@pytest.mark.parametrize("most", [60, 333, 5000])
def test_its_pieces_are_those_of_the_files(
    most: int, store: Store, url: str, tmp_path: Path
) -> None:
    local, there = (divide(found(name), most) for name in (str(tmp_path / "corpus"), url))
    kinds = [[type(source) for source in piece] for piece in there]
    assert kinds == [[type(source) for source in piece] for piece in local]
    assert ({FileRange, FileRows} <= {kind for piece in kinds for kind in piece}) == (most < 5000)
    counted = whole_lines(there)
    assert counted == whole_lines(local)
    read = [
        items(piece)
        for pieces in (local, pickle.loads(pickle.dumps(there)))
        for piece in numbered(pieces, counted)
    ]
    assert [called(piece, url) for piece in read[: len(local)]] == read[len(local) :]


def test_a_store_says_what_is_in_an_object(store: Store, url: str, tmp_path: Path) -> None:
    def identities() -> list[str]:
        sources = found(url)
        pieces = [s for piece in divide([sources[0], sources[3]], 500) for s in piece]
        store.sent.clear()
        return [source.identity() for source in [*sources, *pieces]]

    before = identities()
    assert store.sent == []
    assert len(set(before)) > len(EVERY)
    assert identities() == before
    path = tmp_path / "corpus" / "a.jsonl"
    path.write_text(path.read_text("utf-8").replace("number 3 ", "number 4 "), "utf-8")
    upload(tmp_path / "corpus", url)
    changed = [a != b for a, b in zip(before, identities(), strict=True)]
    pieces = len(divide(found(f"{url}/a.jsonl"), 500))
    assert [n for n, is_other in enumerate(changed) if is_other] == [
        0, *range(len(EVERY), len(EVERY) + pieces)
    ]  # fmt: skip


def test_an_object_that_changes_is_not_read_as_the_one_that_was_found(
    store: Store, url: str, tmp_path: Path
) -> None:
    sources = found(f"{url}/a.jsonl", f"{url}/d.parquet")
    for name in ("a.jsonl", "d.parquet"):
        write(tmp_path / "corpus" / name, ROWS)
    upload(tmp_path / "corpus", url)
    for source in sources:
        with pytest.raises(InputError, match="has changed since it was found; run the same"):
            items([source])


@pytest.mark.parametrize("name", ["a.jsonl", "d.parquet", "g.jsonl.gz", "f0.txt"])
@pytest.mark.parametrize("fault", ["half", "cut", "503"])
def test_a_read_that_fails_is_tried_again(name: str, fault: str, store: Store, url: str) -> None:
    sources = found(f"{url}/{name}")
    expected = items(sources)
    store.sent.clear()
    store.faults.append(fault)
    assert items(sources) == expected
    assert store.faults == []


@pytest.mark.parametrize("name", ["a.jsonl", "c.csv", "d.parquet", "g.jsonl.gz", "f0.txt"])
def test_what_is_cut_short_is_not_the_end(name: str, store: Store, url: str) -> None:
    sources = found(f"{url}/{name}")
    store.faults += ["half"] * 50
    with pytest.raises(InputError, match=rf"^{url}/{name}: cannot be read: \d+ bytes came of \d+ "):
        items(sources)
    assert len(store.faults) == 47


def test_of_columns_that_are_not_needed_nothing_is_fetched(
    store: Store, url: str, tmp_path: Path
) -> None:
    other = [Random(n).randbytes(999).hex() for n in range(400)]
    path = tmp_path / "corpus" / "wide.parquet"
    pl.DataFrame({"text": [f"Text {n}." for n in range(400)], "other": other}).write_parquet(
        path, row_group_size=100
    )
    upload(tmp_path / "corpus", url)
    sources = found(f"{url}/wide.parquet")
    store.sent.clear()
    assert len(items(sources)) == 400
    assert sum(store.sent) < path.stat().st_size / 4
    [*_, last] = divide(sources, path.stat().st_size // 4)
    store.sent.clear()
    assert [item.place for item in items(last)][-1] == f"{url}/wide.parquet:400"
    assert sum(store.sent) < path.stat().st_size / 4


# What gcsfs uploads for the test it sends from memory.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
def test_a_large_object_is_streamed_in_blocks(store: Store, url: str, tmp_path: Path) -> None:
    texts = (Random(n).randbytes(500).hex() for n in range(4700))
    path = tmp_path / "corpus" / "large.jsonl"
    path.write_text("\n".join(json.dumps({"text": text}) for text in texts), "utf-8")
    upload(tmp_path / "corpus", url)
    [source] = sources = found(f"{url}/large.jsonl")
    stream = read_corpus(sources, Corpus())
    store.sent.clear()
    assert isinstance(next(stream), Document)
    assert sum(store.sent) <= 1 << 22 < source.size
    assert sum(1 for _ in stream) == 4700 - 1
    assert sum(store.sent) == source.size
    store.sent.clear()
    assert len(divide(sources, 1 << 20)) > 4
    assert sum(store.sent) < source.size / 4


def test_candidates_of_a_store_are_those_of_the_files(
    store: Store, url: str, tiny_run: Path, tiny_files: Path, tmp_path: Path
) -> None:
    folder, recipe = tmp_path / "own", recipe_of(tiny_files)
    folder.mkdir()
    (folder / "a.jsonl").write_text("\n".join(lines(40)), "utf-8")
    texts = [f"The drum number {n} stands in the yard of the farm." for n in range(30)]
    made = pl.DataFrame({"text": texts[:20], "id": [f"p{n}" for n in range(20)]})
    made.write_parquet(folder / "b.parquet", row_group_size=5)
    for n in range(20, 30):
        (folder / f"{n}.txt").write_text(texts[n], "utf-8")
    upload(folder, f"{url}/own")
    found: list[pl.DataFrame] = []
    counts: list[dict[str, Any]] = []
    for place in (str(folder), f"{url}/own"):
        run = copy_of(tiny_run, tmp_path / f"run{len(found)}")
        outcome = backtranslate(run, recipe, Scripted(), [place])
        counts.append(
            {key: outcome.counts[key] for key in ("documents", "bad_lines", "candidates")}
        )
        found.append(rows(run, recipe))
        assert backtranslate(run, recipe, Scripted(), [place]).skipped
    assert counts[0] == counts[1]
    local, there = found
    by_name = pl.col("document_id").str.ends_with(".txt")  # of texts the name is the id
    assert local.filter(~by_name).height > 40
    assert there.filter(~by_name).equals(local.filter(~by_name))
    renamed = local.filter(by_name)["document_id"].map_elements(lambda name: f"{url}/own/{name}")
    assert set(there.filter(by_name)["document_id"]) == set(renamed)
    assert there.filter(by_name).height == local.filter(by_name).height >= 10


@pytest.mark.parametrize("opened", ["s3"], indirect=True)  # the one of gs serves no web addresses
def test_credentials_in_a_url_are_told_to_nobody(store: Store, url: str, tmp_path: Path) -> None:
    host = store.address.removeprefix("http://")
    secret = "X-Amz-Signature=5ecret&X-Amz-Credential=AKIA%2Fus"
    name = f"http://someone:pa55word@{host}/bucket/corpus/a.jsonl?{secret}"
    shown = f"http://{host}/bucket/corpus/a.jsonl"
    sources = found(name)
    assert [source.name for source in sources] == [shown]
    read = items(sources)
    assert read[0].place == f"{shown}:1"
    assert len(read) == len(items(found(str(tmp_path / "corpus" / "a.jsonl"))))
    store.faults.append("cut")
    assert items(sources) == read
    told = [repr(sources), *map(str, read)]
    for fault in ("403", "500", "half"):
        store.faults[:] = [fault] * 9
        with pytest.raises(InputError) as error:
            items(sources)
        store.faults.clear()
        told += [str(error.value), repr(error.value.__cause__)]
    for gone in (name.replace("a.jsonl", "no.jsonl"), name.replace(host, "127.0.0.1:9")):
        with pytest.raises(InputError) as error:
            found(gone)
        told.append(str(error.value))
    assert sum("access refused" in text for text in told) == 1
    assert "no such object" in told[-2]
    assert "Cannot connect" in told[-1]
    assert not re.search("someone|pa55word|5ecret|AKIA|Amz", " ".join(told))


def test_a_package_that_is_missing_is_named() -> None:
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from synth.settings import Corpus; from synth.store.corpus import find_corpus\n"
        "find_corpus(['s3://bucket/a.jsonl'], Corpus())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    last = result.stderr.strip().splitlines()[-1]
    assert last.endswith(
        "InputError: s3://bucket/a.jsonl: a package is not installed; `pip install synth[s3]`"
    )


def test_an_object_without_a_tag_is_always_another() -> None:
    untold = FileSource(RemoteFile("http://h/a.jsonl", 9, ""), "a", 9)
    assert untold.identity() != untold.identity()


READ = """
import json, sys
from synth.errors import InputError
from synth.settings import Corpus
from synth.store.corpus import find_corpus, read_corpus
for name in sys.argv[1:]:
    try:
        sources = find_corpus([name], Corpus())
        items = [item.place for item in read_corpus(sources, Corpus())]
        print(json.dumps([[source.name for source in sources], len(items), items[-1]]))
    except InputError as error:
        print(json.dumps(str(error)))
"""


def test_files_of_the_hub_are_read_where_they_lie(hub: Hub, tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "text": f"The text {n}.", "other": "x" * 99} for n in range(300)]
    for name in ("a.jsonl", "b.parquet", "c.jsonl.gz"):
        write(tmp_path / name, rows)
    made = {f"data/{p.name}": p.read_bytes() for p in tmp_path.iterdir() if p.is_file()}
    hub.fill(hub.make("dataset", "me/set"), made)
    url = "hf://datasets/me/set"
    asked = (url, f"{url}/data/*.parquet", f"{url}/none.jsonl", "hf://datasets/me/none/a.jsonl")
    result = script(hub, tmp_path, "lfs", READ, *asked)
    assert result.returncode == 0, result.stderr
    every, some, *missing = map(json.loads, result.stdout.splitlines())
    files = [f"{url}/{name}" for name in sorted(made)]
    assert every == [files, 900, f"{files[-1]}:300"]
    assert some == [[files[1]], 300, f"{files[1]}:300"]
    for name, error in zip(asked[2:], missing, strict=True):
        assert error == f"{name}: no such object; check bucket and name"
