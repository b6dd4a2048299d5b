"""What a process took of memory."""

from pathlib import Path


def peak_mib() -> int:
    """Most memory this process had; `ru_maxrss` would count what its parent had when it began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
