"""From what is kept to a dataset."""

from pydantic import Field

from synth.settings.section import Section


class Export(Section):
    """What the dataset looks like."""

    test_share: float = Field(0.1, ge=0, lt=1)
    """Share of the documents that go to the test split."""
    licence: str | None = None
    """Licence of the dataset; None works it out from the corpus's licences."""
