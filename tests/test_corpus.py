"""Reading corpora: every format gives the same documents; what holds none is named with place."""

import csv
import gzip
import io
import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from synth.errors import InputError
from synth.records import BadLine, Document, content_id
from synth.settings import Corpus
from synth.store.corpus import HubSource, find_corpus, read_corpus
from synth.store.files import file_hash

KNOWN = ".jsonl, .ndjson, .csv, .txt, .md, .markdown (each also with .gz or .zst), .parquet"
ROWS: list[dict[str, Any]] = [
    {"id": "a", "text": "Tea is a leaf.", "licence": "MIT", "other": "x"},
    {"id": None, "text": 'Füße, "quoted",\r\nand a line;\nanother.', "licence": None, "other": "y"},
    {"id": "c", "text": "  \n", "licence": "MIT", "other": None},
    {"id": "d", "text": None, "licence": None, "other": "z"},
    {"id": "e", "text": "日本語の文。\n\n😀", "licence": "CC0-1.0", "other": "z"},
]
DOCUMENTS = [
    ("a", ROWS[0]["text"], {"licence": "MIT"}),
    (content_id(ROWS[1]["text"]), ROWS[1]["text"], {}),
    ("no text in the field 'text'",),
    ("no text in the field 'text'",),
    ("e", ROWS[4]["text"], {"licence": "CC0-1.0"}),
]
FORMATS = ["jsonl", "ndjson", "csv", "parquet"]
PACKED = [f"{name}.{end}" for name in ("jsonl", "ndjson", "csv") for end in ("gz", "zst")]


def packed(data: bytes, suffix: str) -> bytes:
    if suffix == ".gz":
        return gzip.compress(data, mtime=0)
    if suffix == ".zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(data)
        return bytes(sink.getvalue())
    return data


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Writes rows in the format that the name says."""
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=len(rows))
        return path
    out = io.StringIO(newline="")
    if ".csv" in path.name:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    else:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(packed(out.getvalue().encode(), path.suffix))
    return path


def read(*names: Path | str, **settings: Any) -> list[Document | BadLine]:
    corpus = Corpus(**settings)
    return list(read_corpus(find_corpus([str(name) for name in names], corpus), corpus))


def read_bytes(folder: Path, data: bytes, name: str = "c.jsonl") -> list[Document | BadLine]:
    (folder / name).write_bytes(data)
    return read(folder / name)


def content(items: list[Document | BadLine]) -> list[tuple[Any, ...]]:
    return [
        (item.id, item.text, item.metadata) if isinstance(item, Document) else (item.reason,)
        for item in items
    ]


def names(*given: Path | str) -> list[str]:
    return [source.name for source in find_corpus([str(name) for name in given], Corpus())]


def test_lists_and_truths_of_metadata_are_written_as_in_json(tmp_path: Path) -> None:
    row = {"id": "", "text": "A text.", "licence": ["a", "b"], "open": True, "at": {"y": 1}}
    (found,) = read(write(tmp_path / "c.jsonl", [row]), metadata=["licence", "open", "at"])
    assert isinstance(found, Document)
    assert found.metadata == {"licence": '["a", "b"]', "open": "true", "at": '{"y": 1}'}
    assert found.id == content_id("A text.")  # an empty id is none


@pytest.mark.parametrize("suffix", [*FORMATS, *PACKED])
def test_every_format_gives_the_same_documents(tmp_path: Path, suffix: str) -> None:
    assert content(read(write(tmp_path / f"c.{suffix}", ROWS))) == DOCUMENTS


@pytest.mark.parametrize(
    ("suffix", "places"),
    [
        ("jsonl.gz", [1, 2, 3, 4, 5]),
        ("parquet", [1, 2, 3, 4, 5]),
        ("csv", [2, 3, 6, 8, 9]),  # where the row begins; the header is line 1
    ],
)
def test_places_say_line_or_row(tmp_path: Path, suffix: str, places: list[int]) -> None:
    found = read(write(tmp_path / f"c.{suffix}", ROWS))
    assert [item.place for item in found] == [f"c.{suffix}:{place}" for place in places]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("suffix", "markup"), [(".txt", ""), (".md", "markdown"), (".markdown", "markdown")]
)
def test_a_text_is_a_document(tmp_path: Path, suffix: str, markup: str, packing: str) -> None:
    file = tmp_path / f"tea.v2{suffix}{packing}"
    file.write_bytes(packed("\ufeffTée\n\nleaf\n".encode(), packing))
    name, text = file.name, "Tée\n\nleaf\n"
    assert read(file) == [Document(name, text, name, {"title": "tea.v2"}, markup)]
    assert read(file, metadata=["url"]) == [Document(name, text, name, {}, markup)]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "not JSON"),
        (b'"a string"', "not a JSON object"),
        (b'{"id": "x"}', "no text in the field 'text'"),
        (b'{"text": "   "}', "no text in the field 'text'"),
        (b'{"text": ""}', "no text in the field 'text'"),
        (b'{"text": 7}', "no text in the field 'text'"),
        (b'{"text": "caf\xe9"}', "not UTF-8 (byte 14)"),
        (b'\xef\xbb\xbf{"text": "caf\xe9"}', "not UTF-8 (byte 14)"),
        (b'{"text": "\\ud800"}', "half a surrogate pair, which is no Unicode text"),
        (b'{"text": "t", "id": "\\uDC80"}', "half a surrogate pair, which is no Unicode text"),
        (b'{"text": "t", "url": "\\ud800"}', "half a surrogate pair, which is no Unicode text"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text": ' + b"1" * 10_000 + b"}", "not JSON"),
    ],
)
def test_a_bad_line_has_place_and_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    good = b'{"id": "a", "text": "fine \\ud83d\\ude00"}\n'
    found = read_bytes(tmp_path, good + line + b"\n \r\n" + good)
    assert found[1] == BadLine("c.jsonl:2", reason)
    assert found[2] == Document("a", "fine 😀", "c.jsonl:4")
    assert [type(item) for item in found] == [Document, BadLine, Document]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"b,caf\xe9\r\n", "not UTF-8 (byte 6)"),
        (b"\xff,fine\r\n", "not UTF-8 (byte 1)"),
        (b"b,\r\n", "no text in the field 'text'"),
        (b"b,one,two\r\n", "3 columns, not the 2 of the header"),
        (b"b\r\n", "1 columns, not the 2 of the header"),
        (b'b,"one" two\r\n', "not CSV (',' expected after '\"')"),
    ],
)
def test_a_bad_csv_row_does_not_end_the_run(tmp_path: Path, row: bytes, reason: str) -> None:
    found = read_bytes(tmp_path, b"id,text\r\na,one\r\n" + row + b"\r\nc,two\r\n", "c.csv")
    assert found[0] == Document("a", "one", "c.csv:2")
    assert found[1:] == [BadLine("c.csv:3", reason), Document("c", "two", "c.csv:5")]


def test_csv_with_odd_cells(tmp_path: Path) -> None:
    found = read_bytes(
        tmp_path, b'\xef\xbb\xbftext,id\n"a\0b",x\0\n' + b"w" * 300_000 + b",y", "c.csv"
    )
    assert content(found) == [("x\0", "a\0b", {}), ("y", "w" * 300_000, {})]
    found = read_bytes(tmp_path, b'id,text\na,one\nb,"never closed\nc,two\n', "c.csv")
    assert found[1:] == [BadLine("c.csv:3", "not CSV (unexpected end of data)")]


@pytest.mark.parametrize("packing", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", "no text"), (b"\xef\xbb\xbf \n", "no text"), (b"caf\xe9", "not UTF-8 (byte 4)")],
)
def test_a_text_without_words_is_a_bad_line(
    tmp_path: Path, data: bytes, reason: str, packing: str
) -> None:
    name = f"t.txt{packing}"
    assert read_bytes(tmp_path, packed(data, packing), name) == [BadLine(name, reason)]


def test_parquet_bytes_are_read_as_utf8(tmp_path: Path) -> None:
    raw = pa.array(["fine", None, "caf\u00e9"]).cast(pa.binary()).to_pylist()
    texts = pa.array([*raw, b"caf\xe9", b"last"], pa.binary())
    for kind in (pa.binary(), pa.string(), pa.large_string()):
        column = pa.Array.from_buffers(kind, 5, texts.cast(_binary_like(kind)).buffers())
        table = pa.table({"text": column, "id": [1, 2, 3, 4, 5], "licence": [None] * 5})
        pq.write_table(table, tmp_path / "c.parquet")
        assert content(read(tmp_path / "c.parquet")) == [
            ("1", "fine", {}),
            ("no text in the field 'text'",),
            ("3", "café", {}),
            ("column 'text': not UTF-8 (byte 4)",),
            ("5", "last", {}),
        ]
    licences = pa.array([b"cc", b"cc\xff"], pa.binary())
    table = pa.table({"text": ["a text", "another"], "licence": licences})
    pq.write_table(table, tmp_path / "c.parquet")
    assert content(read(tmp_path / "c.parquet"))[1] == ("column 'licence': not UTF-8 (byte 3)",)


def _binary_like(kind: Any) -> Any:
    return pa.large_binary() if kind == pa.large_string() else pa.binary()


def test_other_fields_may_hold_text_and_id(tmp_path: Path) -> None:
    rows = [{"k": 7, "body": "t", "text": "no", "year": 1931}]
    for suffix in FORMATS:
        file = write(tmp_path / f"c.{suffix}", rows)
        found = read(file, text="body", id="k", metadata=["year", "none"])
        assert content(found) == [("7", "t", {"year": "1931"})]


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_column_that_is_missing_is_an_error(tmp_path: Path, suffix: str) -> None:
    file = write(tmp_path / f"c.{suffix}", ROWS)
    with pytest.raises(InputError) as error:
        read(file, text="body")
    assert str(error.value) == (
        f"{file}: has no column 'body', only id, text, licence, other; name the one that holds"
        " the text in corpus.text"
    )


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    found = read_bytes(tmp_path, b'\xef\xbb\xbf{"id": "a", "text": "t"}')
    assert found == [Document("a", "t", "c.jsonl:1")]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("c.csv", b"id,body\n1,t\n", "{}/c.csv: has no column 'text', only id, body; name the one"
         " that holds the text in corpus.text"),
        ("c.csv", b"id\0,\xe2\x80\xaetext\n", "{}/c.csv: has no column 'text', only id\\x00,"
         " \\u202etext; name the one that holds the text in corpus.text"),
        ("c.csv", b"id;text\n1;t\n", "{}/c.csv:1: has semicolons between its columns, not commas;"
         " write the file anew"),
        ("c.csv", b"id\ttext\n1\tt\n", "{}/c.csv:1: has tabs between its columns, not commas;"
         " write the file anew"),
        ("c.csv", "\ufeffid,text\n1,t\n".encode("utf-16-le"), "{}/c.csv:1: not UTF-8 (byte 1);"
         " write the file anew as UTF-8"),
        ("c.csv", b"id;\xfftext\n", "{}/c.csv:1: not UTF-8 (byte 4); write the file anew as UTF-8"),
        ("c.csv", b"", "{}/c.csv: has no header row; name the columns in its first line"),
        ("c.csv", b'"a" b\n', "{}/c.csv:1: not CSV (',' expected after '\"'); write the file anew"),
        ("c.parquet", b"PAR1 half", "{}/c.parquet: damaged or cut short (Parquet magic bytes not"
         " found in footer. Either the file is corrupted or this is not a parquet file.); get or"
         " write the file anew"),
        ("c.jsonl.gz", b"", "{}/c.jsonl.gz: damaged or cut short (the file is empty); get or write"
         " the file anew"),
        ("c.txt.gz", b"plain", "{}/c.txt.gz: damaged or cut short (zlib inflate failed: incorrect"
         " header check); get or write the file anew"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_corpus_is_an_error(
    tmp_path: Path, name: str, data: bytes, message: str
) -> None:
    with pytest.raises(InputError) as error:
        read_bytes(tmp_path, data, name)
    assert str(error.value) == message.format(tmp_path)


@pytest.mark.parametrize("suffix", ["jsonl.gz", "jsonl.zst", "csv.gz", "txt.zst", "parquet"])
def test_a_file_that_is_cut_short_is_an_error(tmp_path: Path, suffix: str) -> None:
    rows = [{"id": str(n), "text": str(hash(("text", n)))} for n in range(5000)]
    file = write(tmp_path / f"c.{suffix}", rows)
    whole = file.read_bytes()
    for end in (len(whole) // 2, len(whole) - 1, 3):
        file.write_bytes(whole[:end])
        with pytest.raises(InputError, match=rf"c\.{suffix}: damaged or cut short \("):
            read(file)
    file.write_bytes(whole)
    assert len(read(file)) == (1 if "txt" in suffix else 5000)


def test_packed_files_may_be_joined(tmp_path: Path) -> None:
    line = b'{"id": "a", "text": "t"}\n'
    for packing in (".gz", ".zst"):
        data = packed(line, packing) + packed(line, packing)
        assert len(read_bytes(tmp_path, data, f"c.jsonl{packing}")) == 2


@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.zst", "csv.gz", "csv", "parquet"])
def test_a_corpus_is_streamed(tmp_path: Path, suffix: str) -> None:
    texts = (Random(n).randbytes(200).hex() for n in range(30_000))
    rows = [{"id": str(n), "text": text} for n, text in enumerate(texts)]
    file = write(tmp_path / f"c.{suffix}", rows)
    told: list[int] = []
    arrow = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        items = read_corpus(find_corpus([str(file)], Corpus()), Corpus(), told.append)
        assert isinstance(next(items), Document)
        next(items)
        assert sum(told) < file.stat().st_size / 10
        assert pa.total_allocated_bytes() - arrow < 8e6  # its buffers
        assert sum(1 for _ in items) == 30_000 - 2
        assert tracemalloc.get_traced_memory()[1] < 4e6 < sum(len(row["text"]) for row in rows)
    finally:
        tracemalloc.stop()
    assert min(told) > 0
    assert len(told) > 10
    assert sum(told) == file.stat().st_size


def test_progress_adds_up_to_the_size_of_every_file(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.csv.gz", "c.parquet", "d.zst"):
        write(tmp_path / name.replace("d.zst", "d.jsonl.zst"), ROWS)
    for name in ("e.md", "f.txt", "g.jsonl"):
        (tmp_path / name).write_bytes(b"\n" * (name != "f.txt"))
    sources = find_corpus([str(tmp_path)], Corpus())
    assert len(sources) == 7
    for source in sources:
        told: list[int] = []
        list(read_corpus([source], Corpus(), told.append))
        assert sum(told) == source.size == (tmp_path / source.name).stat().st_size


def test_a_file_that_grows_is_counted_at_the_size_it_had(tmp_path: Path) -> None:
    file = write(tmp_path / "c.jsonl", ROWS)
    sources, told = find_corpus([str(file)], Corpus()), [0]
    file.write_bytes(file.read_bytes() * 2)
    assert len(list(read_corpus(sources, Corpus(), told.append))) == 2 * len(ROWS)
    assert sum(told) == sources[0].size == file.stat().st_size // 2


def test_standard_input_is_read_as_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.pipe()
    got = threading.Event()
    waited: list[bool] = []

    def pipe() -> None:
        with os.fdopen(theirs, "wb") as file:
            file.write(b'{"id": "a", "text": "t"}\n')
            file.flush()
            waited.append(got.wait(20))
            file.write(b"nope")

    writer = threading.Thread(target=pipe)
    writer.start()
    with os.fdopen(ours) as file:
        monkeypatch.setattr(sys, "stdin", file)
        sources = find_corpus(["-", "-"], Corpus())
        assert [(source.name, source.size) for source in sources] == [("stdin", 0)]
        items = read_corpus(sources, Corpus())
        assert next(items) == Document("a", "t", "stdin:1")
        got.set()
        assert list(items) == [BadLine("stdin:2", "not JSON")]
    writer.join()
    assert waited == [True]


@pytest.fixture
def tree(in_tmp: Path) -> Path:
    """Files at three depths, of which some are hidden or of no known format."""
    for name in (
        "b.jsonl", "a.md", "Z.TXT", "sub/c.jsonl.gz", "sub/deep/d.csv", "sub/notes.pdf",
        ".hidden.md", ".git/e.md", "sub/.f/g.md", "odd[1].txt", "c.parquet.gz",
    ):  # fmt: skip
        (in_tmp / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (in_tmp / "in" / name).write_bytes(b"")
    (in_tmp / "in" / "folder.md").mkdir()
    (in_tmp / "in" / "sub" / "up").symlink_to(in_tmp / "in")
    return in_tmp / "in"


ALL = ["Z.TXT", "a.md", "b.jsonl", "odd[1].txt", "sub/c.jsonl.gz", "sub/deep/d.csv"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["in"], ALL),
        (["in/"], ALL),
        (["in/**/*"], ALL),
        (["in/**"], ALL),
        (["in/*"], ALL[:4]),
        (["in/*.md"], ["a.md"]),
        (["in/**.md"], ["a.md"]),
        (["in/**/*.[cj]s*"], ["b.jsonl", "sub/c.jsonl.gz", "sub/deep/d.csv"]),
        (["in/s?b/*.gz"], ["sub/c.jsonl.gz"]),
        (["in/odd[1].txt"], ["odd[1].txt"]),
        (["in/.hidden.md"], [".hidden.md"]),
        (["in/sub/deep/d.csv"], ["d.csv"]),
        (["in/b.jsonl", "in/a.md", "./in/b.jsonl"], ["b.jsonl", "a.md"]),
        (["in/sub", "in"], ["c.jsonl.gz", "deep/d.csv", *ALL[:4]]),
        (["-", "in/a.md", "-"], ["stdin", "a.md"]),
        (["bundled:data/sample/corpus.jsonl"], ["corpus.jsonl"]),
    ],
)
def test_names_stand_for_files(tree: Path, given: list[str], found: list[str]) -> None:
    assert names(*given) == found
    assert (
        names(
            *(name.replace("in", str(tree), 1) if name.startswith("in") else name for name in given)
        )
        == found
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "no corpus named; give files, folders, patterns, hub:OWNER/NAME or -"),
        (["none.jsonl"], "none.jsonl: no such file; check the path"),
        (["in/sub/notes.pdf"], "in/sub/notes.pdf: not a format that synth reads; convert it to one"
         f" of {KNOWN}"),
        (["in/c.parquet.gz"], "in/c.parquet.gz: not a format that synth reads; convert it to one of"
         f" {KNOWN}"),
        (["in/.git/.x*"], f"in/.git/.x*: no file there that synth reads; it reads {KNOWN}"),
        (["in/*.pdf"], f"in/*.pdf: no file there that synth reads; it reads {KNOWN}"),
        (["in/folder.md"], f"in/folder.md: no file there that synth reads; it reads {KNOWN}"),
        (["none/**/*.md"], f"none/**/*.md: no file there that synth reads; it reads {KNOWN}"),
        (["in/pipe.jsonl"], "in/pipe.jsonl: neither a file nor a folder; pipe jsonl in and name it"
         " -"),
        (["bundled:none"], "bundled:none: synth does not come with this; check the name"),
        (["hub:squad"], "hub:squad: a dataset on the Hub is hub:OWNER/NAME; correct it"),
        (["hub:in/sub"], "hub:in/sub: in/sub is also a path here; name that, or run elsewhere"),
    ],
)  # fmt: skip
def test_names_that_stand_for_nothing_are_errors(
    tree: Path, given: list[str], message: str
) -> None:
    os.mkfifo(tree / "pipe.jsonl")
    with pytest.raises(InputError) as error:
        find_corpus(given, Corpus())
    assert str(error.value) == message


def test_a_name_that_is_no_unicode_is_shown_as_escapes(tmp_path: Path) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    file.write_text("t", encoding="utf-8")
    shown = "caf\\udce9.txt"
    assert read(file) == [Document(shown, "t", shown, {"title": "caf\\udce9"})]


def test_identity_is_that_of_the_content(tmp_path: Path) -> None:
    def identity(name: str, data: bytes) -> str:
        (tmp_path / name).write_bytes(data)
        return find_corpus([str(tmp_path / name)], Corpus())[0].identity()

    assert identity("a.jsonl", b"{}") == identity("b.jsonl", b"{}")
    assert identity("a.jsonl", b"{}") == file_hash(tmp_path / "a.jsonl")
    assert identity("a.jsonl", b"{}") != identity("a.jsonl", b"{} ")
    assert identity("a.txt", b"t") != identity("b.txt", b"t")  # the name is the document's id
    assert identity("a.txt", b"t") == identity("a.txt", b"t")
    [stdin] = find_corpus(["-"], Corpus())
    assert stdin.identity() != stdin.identity()


def test_a_file_that_goes_away_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "c.jsonl", ROWS)
    sources = find_corpus([str(file)], Corpus())
    file.unlink()
    for use in (sources[0].identity, lambda: list(read_corpus(sources, Corpus()))):
        with pytest.raises(InputError, match=r"c\.jsonl: cannot be read: No such file"):
            use()


def test_a_dataset_has_columns_config_and_split(tmp_path: Path) -> None:
    (tmp_path / "hard").mkdir()
    write(tmp_path / "hard" / "train-0.parquet", ROWS[:1])
    write(tmp_path / "hard" / "test-0.parquet", ROWS)
    card = (
        "---\nconfigs:\n- config_name: hard\n  data_files:\n"
        "  - {split: train, path: hard/train-*}\n  - {split: test, path: hard/test-*}\n"
    )
    features = (
        "dataset_info:\n- config_name: hard\n  features:\n"
        + "".join(f"  - {{name: {name}, dtype: string}}\n" for name in ROWS[0])
        + "  splits:\n  - {name: train, num_examples: 1}\n  - {name: test, num_examples: 5}\n"
    )
    source = HubSource(str(tmp_path), "hard", "test", "main")
    for text in (card, card + features):
        (tmp_path / "README.md").write_text(text + "---\n", encoding="utf-8")
        found = list(read_corpus([source], Corpus()))
        assert content(found) == DOCUMENTS
        assert [item.place for item in found] == [f"hub:{tmp_path}:{n}" for n in range(1, 6)]
        with pytest.raises(InputError, match="has no column 'body', only id, text, licence, other"):
            list(read_corpus([source], Corpus(text="body")))
    with pytest.raises(InputError, match=r"cannot be read: .*nope"):
        list(read_corpus([HubSource(str(tmp_path), "nope", "test", "main")], Corpus()))


SHA, OLD = "a" * 40, "b" * 40
# As CSV, of which `datasets` knows no columns before the first row.
FILES = {
    SHA: b"id,text,licence,other\na,One.,MIT,x\nb,Two.,MIT,y\n",
    OLD: b"id,text,licence,other\na,One.,MIT,x\n",
}


class _Datasets(BaseHTTPRequestHandler):
    """As much of a Hub as reading `me/set` needs; `me/gated` is gated, `me/dropped` hangs up."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        commit = OLD if OLD in path or path.endswith("/v1") else SHA
        if "/me/gated" in path:
            return self._answer(403, b"{}", X_Error_Code="GatedRepo")
        if "/me/dropped" in path:
            self.close_connection = True
            self.connection.close()
            return None
        if "/me/set" not in path:
            return self._answer(404, b"{}", X_Error_Code="RepoNotFound")
        if "/tree/" in path:
            size = len(FILES[commit])
            file = {"type": "file", "path": "train.csv", "size": size, "oid": "1" * 40}
            return self._answer(200, json.dumps([file]).encode())
        if re.fullmatch(r"/api/datasets/me/set(/revision/\w+)?", path):
            info = {"id": "me/set", "sha": commit, "siblings": [{"rfilename": "train.csv"}]}
            return self._answer(200, json.dumps(info).encode())
        if path.endswith("/train.csv"):
            return self._answer(200, FILES[commit], ETag='"x"', X_Repo_Commit=commit)
        return self._answer(404, b"{}", X_Error_Code="EntryNotFound")

    do_HEAD = do_GET

    def _answer(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def datasets_hub() -> Iterator[str]:
    """Address of a Hub on loopback that listens while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Datasets)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


READ = """
import json, sys
from synth.errors import InputError
from synth.settings import Corpus
from synth.store.corpus import find_corpus, read_corpus
for name, more in json.loads(sys.argv[1]):
    try:
        settings = Corpus(**more)
        sources = find_corpus([name, name], settings)
        items = [item.place for item in read_corpus(sources, settings)]
        print(json.dumps([*(s.identity() for s in sources), sources[0].size, items]))
    except InputError as error:
        print(json.dumps(str(error)))
"""


def test_a_dataset_is_streamed_from_the_hub(tmp_path: Path) -> None:
    asked: list[tuple[str, dict[str, str]]] = [
        ("hub:me/set", {}),
        ("hub:me/set", {"revision": "v1"}),
        ("hub:me/set", {"text": "body"}),
        ("hub:me/gated", {}),
        ("hub:me/no", {}),
        ("hub:me/dropped", {}),
    ]
    with datasets_hub() as address:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")},
            "HF_ENDPOINT": address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_UPDATE_CHECK": "1",
            "NO_PROXY": "*",
        }
        result = subprocess.run(
            [sys.executable, "-c", READ, json.dumps(asked)],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert result.returncode == 0, result.stderr
    new, old, column, gated, missing, dropped = map(json.loads, result.stdout.splitlines())
    parts = ("hub:", "me/set", None, "train")
    assert new == [content_id(*parts, SHA), 0, ["hub:me/set:1", "hub:me/set:2"]]
    assert old == [content_id(*parts, OLD), 0, ["hub:me/set:1"]]
    assert column.startswith("hub:me/set: has no column 'body', only id, text, licence, other;")
    for name, error in (("gated", gated), ("no", missing), ("dropped", dropped)):
        assert error.startswith(f"hub:me/{name}: cannot be read: ")
        assert "for a gated dataset your login" in error
        assert "\n" not in error


def test_a_dataset_out_of_reach_is_an_error() -> None:
    with pytest.raises(InputError, match=r"^hub:nobody/nothing: cannot be read: .*offline"):
        find_corpus(["hub:nobody/nothing"], Corpus())


def test_reading_a_corpus_loads_no_heavy_library(tmp_path: Path) -> None:
    write(tmp_path / "c.jsonl", ROWS)
    code = (
        "import sys; from synth.settings import Corpus; from synth.store.corpus import *\n"
        f"find_corpus([{str(tmp_path)!r}, '-'], Corpus())\n"
        "print(sorted({'pyarrow', 'datasets', 'huggingface_hub', 'fsspec'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
