"""Texts -> unit vectors, by an encoder laid out as sentence-transformers do, or static vectors.

An encoder runs in plain transformers: its last layer, averaged over the tokens or taken at the
first, as its folder says. Static vectors (model2vec) are averaged word pieces: worse, and some
hundred times as quick. No code that comes with a model is run.
"""

import importlib.util
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from synth.errors import ModelError
from synth.models.loading import device
from synth.models.naming import embedder_folder, named
from synth.models.protocols import Embedder, Vectors

_BLOCK = 4096  # texts whose tokens are held at a time
_BATCH = 16_384  # tokens of a batch, padding included
_POOLING = {"pooling_mode_mean_tokens": "mean", "pooling_mode_cls_token": "cls"}


def load_embedder(name: str) -> Embedder:
    """The embedding model of that name.

    Args:
        name: Folder, `bundled:...`, or Hub id.

    Raises:
        ModelError: When it cannot be loaded, or does with its layers what synth does not.
    """
    folder = embedder_folder(name)
    modules = _json(folder / "modules.json") or [{"type": "Transformer", "path": ""}]
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if "StaticEmbedding" in kinds or _json(folder / "config.json").get("model_type") == "model2vec":
        return _StaticEmbedder(name, folder)
    strange = [kind for kind in kinds if kind not in {"Transformer", "Pooling", "Normalize"}]
    if strange or kinds[0] != "Transformer":
        raise ModelError(
            f"{name}: has a {(strange or kinds)[0]} module, which synth cannot run; choose another"
            " model in curate.embedder"
        )
    paths = dict(zip(kinds, (folder / str(module["path"]) for module in modules), strict=True))
    return _Encoder(name, paths["Transformer"], _pooling(name, paths.get("Pooling")))


class _Encoder:
    """A transformer whose last layer is pooled."""

    def __init__(self, name: str, folder: Path, pooling: str) -> None:
        self._tokenizer: Any = named(
            name, AutoTokenizer.from_pretrained, str(folder), trust_remote_code=False
        )
        model: Any = named(
            name,
            AutoModel.from_pretrained,
            str(folder),
            dtype=torch.float32,
            trust_remote_code=False,  # left open, transformers would ask the terminal
        )
        self._model = model.to(device()).eval()
        self._pooling = pooling
        settings = _json(folder / "sentence_bert_config.json")
        limits = [
            settings.get("max_seq_length"),
            self._tokenizer.model_max_length,
            getattr(model.config, "max_position_embeddings", None),
        ]
        self._limit = min(int(limit) for limit in limits if limit)
        self._lower = bool(settings.get("do_lower_case"))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `protocols.Embedder`."""
        vectors = np.zeros((len(texts), int(self._model.config.hidden_size)), np.float32)
        for first in range(0, len(texts), _BLOCK):
            block = texts[first : first + _BLOCK]
            if self._lower:
                block = [text.lower() for text in block]
            ids = self._tokenizer(list(block), truncation=True, max_length=self._limit)["input_ids"]
            for rows in _batches([len(row) for row in ids]):
                vectors[[first + row for row in rows]] = self._batch([ids[row] for row in rows])
        return vectors

    def _batch(self, ids: list[list[int]]) -> Vectors:
        lengths = torch.tensor([len(row) for row in ids])
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row) for row in ids],
            batch_first=True,
            padding_value=self._tokenizer.pad_token_id or 0,
        )
        mask = torch.arange(padded.shape[1]) < lengths[:, None]
        where = self._model.device
        mask = mask.to(where)
        with torch.inference_mode():
            states = self._model(
                input_ids=padded.to(where), attention_mask=mask.long()
            ).last_hidden_state
            if self._pooling == "cls":
                pooled = states[:, 0]
            else:
                weights = mask[:, :, None].to(states.dtype)
                pooled = (states * weights).sum(1) / weights.sum(1).clamp(min=1)
            unit: Vectors = torch.nn.functional.normalize(pooled).float().cpu().numpy()
        return unit


class _StaticEmbedder:
    """Vectors of word pieces, averaged, by model2vec: its format has more to it than a table."""

    def __init__(self, name: str, folder: Path) -> None:
        if importlib.util.find_spec("model2vec") is None:
            raise ModelError(
                f"{name}: has static vectors, but model2vec is not installed; install"
                " synth[semantic], or name an encoder in curate.embedder"
            )
        from model2vec import StaticModel

        self._model: Any = named(name, StaticModel.from_pretrained, folder)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See `protocols.Embedder`."""
        if not texts:
            return np.zeros((0, int(self._model.dim)), np.float32)
        found = self._model.encode(
            list(texts), normalize=False, max_length=None, use_multiprocessing=False
        )
        vectors = np.asarray(found, np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: Vectors = vectors / np.where(lengths > 0, lengths, 1)
        return unit


def _json(path: Path) -> Any:  # noqa: ANN401
    """What a JSON file holds; nothing when there is none."""
    if not path.is_file():
        return {}
    return named(str(path), json.loads, path.read_text(encoding="utf-8"))


def _pooling(name: str, folder: Path | None) -> str:
    """`mean` or `cls`: what the folder asks for; mean where it does not say."""
    settings = _json(folder / "config.json") if folder else {}
    modes = [key for key, on in settings.items() if key.startswith("pooling_mode_") and on is True]
    told = settings.get("pooling_mode", [_POOLING.get(mode, mode) for mode in modes] or "mean")
    wanted = [told] if isinstance(told, str) else list(told)
    if wanted not in (["mean"], ["cls"]):
        raise ModelError(
            f"{name}: pools its tokens by {', '.join(map(str, wanted))}, and synth by mean or cls"
            " only; choose another model in curate.embedder"
        )
    return str(wanted[0])


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows of about the same length, the longest first, as many as a batch has room for."""
    order = sorted(range(len(lengths)), key=lambda row: (-lengths[row], row))
    while order:
        room = max(1, _BATCH // max(1, lengths[order[0]]))
        yield order[:room]
        order = order[room:]
