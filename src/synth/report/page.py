"""Facts about a run -> the text of a self-contained HTML page.

The facts lie in the page as compressed bytes, and its script makes elements of text from them:
nothing of a corpus or a model is ever part of the HTML.
"""

import base64
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synth.errors import InputError

_TEMPLATE = Path(__file__).parent / "page.html"
_DATA = "@@DATA@@"


def page(facts: Mapping[str, Any]) -> str:
    """The page.

    Args:
        facts: What it shows: the `Report` of `web/data.ts`; no NaN.

    Raises:
        InputError: Where synth was installed without the page.
    """
    try:
        template = _TEMPLATE.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{_TEMPLATE}: the page was not built with the package; install synth again"
        ) from error
    text = json.dumps(facts, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    packed = gzip.compress(text.encode("utf-8"), 6, mtime=0)
    return template.replace(_DATA, base64.b64encode(packed).decode("ascii"))
