"""What the kernel knows of a running server: its CPU time, memory and open files, read from outside."""

import time
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """User and system time of all the process's threads so far.

    The same figure as utime + stime of /proc/<pid>/stat, from the process's CPU clock (its number is made as
    `clock_getcpuclockid` makes it), because a tick of the former is as long as ten calls.
    """
    return time.clock_gettime((~pid << 3) | 2)


def resident_bytes(pid: int) -> int:
    return _read_bytes(pid, "VmRSS:")


def peak_bytes(pid: int) -> int:
    """The most memory that was ever resident."""
    return _read_bytes(pid, "VmHWM:")


def _read_bytes(pid: int, name: str) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name))


def count_descriptors(pid: int) -> int:
    """Open files, sockets among them."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
