"""A partition of the candidates -> its rows, kept or rejected: what workers of a cluster do.

Each step looks at one partition, or at what all partitions have left for one reader, and says in a
file of its own what it found; a step whose file is there is not done again. What is decided is
decided by the functions of one machine (`look_at`, `Settling`, `sorted_out`). Nothing here knows
who hands out the work.
"""

from synth.stages.partitions.looking import look, readers
from synth.stages.partitions.meeting import gather, group, meet
from synth.stages.partitions.naming import compare_names, name
from synth.stages.partitions.ranking import order, split
from synth.stages.partitions.settling import choose, settle_batch
from synth.stages.partitions.work import Sorting
from synth.stages.partitions.writing import account, write

__all__ = [
    "Sorting",
    "account",
    "choose",
    "compare_names",
    "gather",
    "group",
    "look",
    "meet",
    "name",
    "order",
    "readers",
    "settle_batch",
    "split",
    "write",
]
