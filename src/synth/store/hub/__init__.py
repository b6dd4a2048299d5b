"""Files <-> a repository on the Hub."""

from synth.store.hub.faults import Patience
from synth.store.hub.place import log_in
from synth.store.hub.publishing import Published, existing_text, publish

__all__ = ["Patience", "Published", "existing_text", "log_in", "publish"]
