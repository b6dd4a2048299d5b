"""Files <-> a repository on the Hub."""

from synth.store.hub.publishing import Published, existing_text, publish

__all__ = ["Published", "existing_text", "publish"]
