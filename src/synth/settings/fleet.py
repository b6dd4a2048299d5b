"""Beyond one machine."""

from pydantic import Field

from synth.settings.section import Section


class Ray(Section):
    """How `--on ray` spreads the work."""

    address: str | None = None
    """The cluster; None: RAY_ADDRESS, and without that one on this machine alone."""
    local_cpus: int | None = Field(None, ge=1)
    """Logical CPUs of a cluster on this machine alone; None: as many as it has."""
    min_replicas: int = Field(1, ge=1)
    """Engines without which the work does not begin."""
    max_replicas: int = Field(64, ge=1)
    """At most so many engines, of as many as the cluster has room for."""
    gpus: float | None = Field(None, ge=0)
    """GPUs of an engine; None: all that its parallelism takes, or none in a cluster without."""
    cpus: float = Field(1.0, gt=0)
    """CPUs of an engine; one of the cluster stays free for reading and cutting."""
    partition_rows: int = Field(65_536, ge=1)
    """Segments that one task of `curate` works on."""
    piece_mib: float = Field(32.0, gt=0)
    """The corpus is cut into pieces of about so many MiB (on disk), each the work of one engine."""
