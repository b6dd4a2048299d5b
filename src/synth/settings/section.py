"""What the sections of a recipe have in common."""

from pydantic import BaseModel, ConfigDict

from synth.records import content_id


class Section(BaseModel):
    """A part of a recipe: frozen, without unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    def fingerprint(self) -> str:
        """Hash of every value of the section."""
        return content_id(self.model_dump_json())
