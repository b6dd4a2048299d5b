"""Xet's binary formats, as far as a server must read them: xorbs and shards.

A xorb is a run of chunks, each behind a header of 8 bytes: version (1 byte), packed length (3),
scheme (1), length (3); little endian. A shard is a header of 48 bytes, then for each file an entry
of 48 bytes (hash, flags, number of terms) and its terms (xorb, flags, length, first chunk, end),
then, as the flags say, as many entries for verification and one with the file's sha256. A hash of
all ones ends the list. A hash is four 64-bit words, written as hex word by word.
"""

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

_FOOTER = b"XETBLOB"
_HEADER = 48
_ENTRY = 48
_VERIFIED = 1 << 31
_WITH_SHA256 = 1 << 30
_END = b"\xff" * 32


class Chunk(NamedTuple):
    """Where a chunk lies in the file of its xorb, its header included, and its true length."""

    start: int
    end: int
    length: int


@dataclass(frozen=True)
class Stored:
    """A xorb: a file, and where its chunks are."""

    path: Path
    chunks: tuple[Chunk, ...]


class Term(NamedTuple):
    """A part of a file: chunks `first` to `last` (not included) of a xorb."""

    xorb: str
    length: int
    first: int
    last: int


@dataclass(frozen=True)
class XetFile:
    """A file as its shard describes it."""

    hash: str
    sha256: str
    terms: tuple[Term, ...]

    @property
    def size(self) -> int:
        return sum(term.length for term in self.terms)


def hash_text(raw: bytes) -> str:
    """The hash as the protocol writes it: each word as a number."""
    return "".join(f"{word:016x}" for word in struct.unpack("<4Q", raw))


def read_xorb(data: bytes) -> tuple[Chunk, ...]:
    """Finds the chunks of a serialized xorb; a footer, if there is one, is left alone."""
    found = []
    at = 0
    while at < len(data) and data[at : at + 7] != _FOOTER:
        packed = int.from_bytes(data[at + 1 : at + 4], "little")
        length = int.from_bytes(data[at + 5 : at + 8], "little")
        found.append(Chunk(at, at + 8 + packed, length))
        at += 8 + packed
    if at > len(data):
        raise ValueError("a chunk is longer than its xorb")
    return tuple(found)


def unpack(data: bytes) -> bytes:
    """The content of one chunk, header included in `data`."""
    scheme, length = data[4], int.from_bytes(data[5:8], "little")
    if scheme == 0:
        return data[8:]
    content = bytes(pa.decompress(data[8:], decompressed_size=length, codec="lz4"))
    return content if scheme == 1 else _regrouped(content)


def _regrouped(data: bytes) -> bytes:
    """Undoes the grouping by the place of each byte in its 4-byte word."""
    out = np.empty(len(data), dtype=np.uint8)
    source = np.frombuffer(data, dtype=np.uint8)
    at = 0
    for place in range(4):
        size = len(out[place::4])
        out[place::4] = source[at : at + size]
        at += size
    return out.tobytes()


def read_shard(data: bytes) -> list[XetFile]:
    """The files that a shard describes."""
    if not data.startswith(b"HFRepoMetaData\0"):
        raise ValueError("not a shard")
    files = []
    at = _HEADER
    while data[at : at + 32] != _END:
        raw, flags, count = struct.unpack_from("<32sII", data, at)
        entries = [data[at + _ENTRY * (i + 1) :][:_ENTRY] for i in range(count)]
        terms = tuple(Term(hash_text(x), *rest) for x, *rest in map(_term, entries))
        at += _ENTRY * (1 + count * (2 if flags & _VERIFIED else 1))
        sha256 = ""
        if flags & _WITH_SHA256:
            sha256 = hash_text(data[at : at + 32])
            at += _ENTRY
        files.append(XetFile(hash_text(raw), sha256, terms))
    return files


def _term(entry: bytes) -> tuple[bytes, int, int, int]:
    raw, _, length, first, last = struct.unpack("<32sIIII", entry)
    return raw, length, first, last


def rebuild(file: XetFile, xorbs: dict[str, Stored], target: Path) -> None:
    """Writes the file that the terms describe.

    Raises:
        ValueError: When a xorb is missing, or what comes out has another sha256.
    """
    told = hashlib.sha256()
    part = target.with_suffix(".part")
    with part.open("wb") as out:
        for term in file.terms:
            if term.xorb not in xorbs:
                raise ValueError(f"xorb {term.xorb} was never sent")
            xorb = xorbs[term.xorb]
            chunks = xorb.chunks[term.first : term.last]
            with xorb.path.open("rb") as source:
                source.seek(chunks[0].start)
                for chunk in chunks:
                    content = unpack(source.read(chunk.end - chunk.start))
                    told.update(content)
                    out.write(content)
    if file.sha256 and told.hexdigest() != file.sha256:
        raise ValueError(f"the terms give another file than {file.sha256}")
    part.rename(target)
