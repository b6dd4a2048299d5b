"""Instructions and texts -> their languages: by script where it tells, by py3langid otherwise."""

import unicodedata
from collections import Counter
from functools import cache

import polars as pl
from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Scripts, by the first word of their characters' names, that are one language's or as good as.
_LANGUAGE_OF = {
    "HIRAGANA": "ja", "KATAKANA": "ja", "HANGUL": "ko", "THAI": "th", "LAO": "lo", "GREEK": "el",
    "HEBREW": "he", "ARMENIAN": "hy", "GEORGIAN": "ka", "TAMIL": "ta", "TELUGU": "te",
    "KANNADA": "kn", "MALAYALAM": "ml", "GUJARATI": "gu", "GURMUKHI": "pa", "SINHALA": "si",
    "KHMER": "km", "ETHIOPIC": "am",
}  # fmt: skip
_SURE = 0.9  # probability: short texts are easily taken for another language
_KANA = 0.05  # share of kana among the letters from which Han characters are Japanese
_HEAD = 500  # characters that are looked at: more take time and tell little


def languages(instructions: pl.Series, texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """ISO 639-1 codes of both sides; null without letters.

    Instructions are often too short to tell: one of its text's script is of its text's language,
    unless py3langid is sure that it is not.
    """
    pairs = [
        _languages((asked or "")[:_HEAD], (said or "")[:_HEAD])
        for asked, said in zip(instructions, texts, strict=True)
    ]
    asked, said = ([pair[side] for pair in pairs] for side in (0, 1))
    return pl.Series("instruction", asked, pl.String), pl.Series("text", said, pl.String)


def _languages(asked: str, said: str) -> tuple[str | None, str | None]:
    scripts = _script(asked), _script(said)
    text = _told(said, scripts[1])[0]
    instruction, sure = _told(asked, scripts[0])
    if instruction != text and scripts[0] == scripts[1] and sure < _SURE:
        instruction = text
    return instruction, text


def _told(text: str, script: str) -> tuple[str | None, float]:
    """Language and its probability."""
    if script in _LANGUAGE_OF or not script:
        return _LANGUAGE_OF.get(script), 1.0
    code, sure = _identifier().classify(text)
    return str(code), float(sure)


def _script(text: str) -> str:
    """The script of most letters, Kana before Han; empty without letters."""
    if text.isascii():
        return "LATIN" if any(map(str.isalpha, text)) else ""
    counts: Counter[str] = Counter()
    for character, times in Counter(text).items():
        if character.isalpha():
            counts[_script_of(character)] += times
    if counts["HIRAGANA"] + counts["KATAKANA"] > _KANA * counts.total():
        return "HIRAGANA"
    return max(counts, key=lambda script: (counts[script], script), default="")


@cache
def _script_of(character: str) -> str:
    return unicodedata.name(character, "").split(" ")[0].split("-")[0]


@cache
def _identifier() -> LanguageIdentifier:
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
