"""Reading corpora: every line is a document or a bad line with its place."""

from pathlib import Path

import pytest

from synth.errors import InputError
from synth.records import BadLine, Document, content_id
from synth.settings import Corpus
from synth.store.corpus import check_corpus, read_corpus


def read(path: Path, data: bytes, settings: Corpus | None = None) -> list[Document | BadLine]:
    file = path / "c.jsonl"
    file.write_bytes(data)
    return list(read_corpus([file], settings or Corpus()))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{not json", "not JSON"),
        (b'"a string"', "not a JSON object"),
        (b'{"id": "x"}', "no text in the field 'text'"),
        (b'{"text": "   "}', "no text in the field 'text'"),
        (b'{"text": 7}', "no text in the field 'text'"),
        (b'{"text": "caf\xe9"}', "not UTF-8 (byte 14)"),
        (b'{"text": "\\ud800"}', "half a surrogate pair, which is no Unicode text"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_bad_line_has_place_and_reason(tmp_path: Path, line: bytes, reason: str) -> None:
    good = b'{"id": "a", "text": "fine"}\n'
    found = read(tmp_path, good + line + b"\n\n" + good)
    assert found[1] == BadLine("c.jsonl:2", reason)
    assert [type(item) for item in found] == [Document, BadLine, Document]


def test_ids_and_metadata_travel(tmp_path: Path) -> None:
    line = '{"id": 7, "text": "tëxt", "licence": "MIT", "other": 1}'.encode()
    assert read(tmp_path, line) == [Document("7", "tëxt", "c.jsonl:1", {"licence": "MIT"})]


def test_a_document_without_id_is_named_by_its_text(tmp_path: Path) -> None:
    assert read(tmp_path, b'{"text": "t"}') == [Document(content_id("t"), "t", "c.jsonl:1")]


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    found = read(tmp_path, b'\xef\xbb\xbf{"id": "a", "text": "t"}')
    assert found == [Document("a", "t", "c.jsonl:1")]


def test_other_fields_may_hold_text_and_id(tmp_path: Path) -> None:
    found = read(tmp_path, b'{"k": "1", "body": "t"}', Corpus(text="body", id="k"))
    assert found == [Document("1", "t", "c.jsonl:1")]


def test_what_is_no_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_corpus([str(tmp_path / "none.jsonl")])
    (tmp_path / "x.pdf").write_bytes(b"")
    with pytest.raises(InputError, match=r"a corpus is a \.jsonl file"):
        check_corpus([str(tmp_path / "x.pdf")])
    with pytest.raises(InputError, match=r"a corpus is a \.jsonl file"):
        check_corpus([str(tmp_path)])
    with pytest.raises(InputError, match="no corpus named"):
        check_corpus([])
