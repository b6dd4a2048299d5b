"""Generated and reference instructions -> the text metrics of the report card.

chrF: Popovic 2015, by sacrebleu. ROUGE-L: Lin 2004, by rouge-score. Self-BLEU: Zhu et al. 2018.
Distinct n-grams: Li et al. 2016. Entropies are in bits.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence

from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics import BLEU, CHRF

_SELF_BLEU = 100  # texts at most: the measure compares each with all the others
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Lower-case words."""
    return _WORD.findall(text.lower())


def chrf(texts: Sequence[str], references: Sequence[str]) -> float:
    """Corpus chrF, 0 to 100 (character 6-grams, beta 2)."""
    return float(CHRF().corpus_score(list(texts), [list(references)]).score)


def rouge_l(texts: Sequence[str], references: Sequence[str]) -> float:
    """Mean F-measure of the longest common subsequence of words, 0 to 1."""
    scorer = RougeScorer(["rougeL"])
    scores = [
        scorer.score(reference, text)["rougeL"].fmeasure
        for text, reference in zip(texts, references, strict=True)
    ]
    return math.fsum(scores) / len(scores)


def distinct_trigrams(texts: Sequence[str]) -> float:
    """Share of different ones among all word trigrams of the texts; 1 where there is none."""
    split = [words(text) for text in texts]
    grams = [tuple(row[i : i + 3]) for row in split for i in range(len(row) - 2)]
    return len(set(grams)) / len(grams) if grams else 1.0


def opening_entropy(texts: Sequence[str]) -> float:
    """Entropy of the texts' first words, bits: 0 when all open alike."""
    counts = Counter((words(text) or [""])[0] for text in texts)
    total = sum(counts.values())
    return -math.fsum(n / total * math.log2(n / total) for n in counts.values()) + 0.0


def self_bleu(texts: Sequence[str]) -> float:
    """Mean BLEU of each text against all the others, 0 to 100: high when they are alike."""
    sample = list(texts[:_SELF_BLEU])
    if len(sample) < 2:
        return 0.0
    metric = BLEU(effective_order=True)
    scores = [
        metric.sentence_score(text, sample[:i] + sample[i + 1 :]).score
        for i, text in enumerate(sample)
    ]
    return math.fsum(scores) / len(scores)


def word_counts(texts: Sequence[str]) -> dict[str, int]:
    """How many words the texts have: 10th, 50th and 90th percentile (nearest rank)."""
    lengths = sorted(len(words(text)) for text in texts)
    ranks = {f"p{p}": max(0, math.ceil(p / 100 * len(lengths)) - 1) for p in (10, 50, 90)}
    return {name: lengths[rank] for name, rank in ranks.items()}
