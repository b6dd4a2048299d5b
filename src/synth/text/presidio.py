"""Text -> what Microsoft Presidio's recognizers find in it.

They are called one by one: those for numbers and addresses work by patterns and check digits, so
that neither an analyzer nor a spaCy model is loaded. Written to presidio-analyzer 2.2.
"""

from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from synth.errors import RecipeError

_ENTITIES = {
    "EMAIL_ADDRESS": "email",
    "PHONE_NUMBER": "phone",
    "IBAN_CODE": "iban",
    "CREDIT_CARD": "card",
    "IP_ADDRESS": "ip",
}
_SURE = 0.4  # the score that its telephone numbers have, the least of these kinds


def recognized(text: str, kinds: Collection[str]) -> Iterator[tuple[str, int, int]]:
    """Kind, start and end of what is found, recognizer by recognizer.

    Raises:
        RecipeError: Presidio is not installed.
    """
    for recognizer in _recognizers():
        for entity in recognizer.supported_entities:
            kind = _ENTITIES[entity]
            if kind in kinds:
                for result in recognizer.analyze(text, [entity], None):
                    if result.score >= _SURE:
                        yield kind, result.start, result.end


@cache
def _recognizers() -> tuple[Any, ...]:
    try:
        import presidio_analyzer.predefined_recognizers as made  # type: ignore
    except ImportError as error:
        raise RecipeError(
            "curate.private.engine: Presidio is not installed; run `pip install presidio-analyzer`,"
            " or set `curate.private.engine=patterns`"
        ) from error
    return (
        made.IbanRecognizer(),
        made.CreditCardRecognizer(),
        made.EmailRecognizer(),
        made.IpRecognizer(),
        made.PhoneRecognizer(),
    )
