"""What the threads of this process do, looked at a hundred times a second: the profile of /debug/pprof/profile.

A thread of its own notes the stack of each of the others, and how much of the processor that one has used since the
last look. So a stack's `cpu` is what its thread really used, and its `wall` is how long it stood there, waiting or not.

What it cannot see: compiled functions (Cython, mypyc) have no frames of their own; their time is their callers'. It
costs about a percent of one core while it runs, and nothing otherwise.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import defaultdict
from types import FrameType
from typing import Final

from etcdpy.api.ops.profile_file import Frame, ProfileFile

# As often as Go's profiler looks.
INTERVAL_SECONDS: Final = 0.01
INTERVAL_NS: Final = 10_000_000
# Frames of a stack that are kept, from the innermost: Go's limit is of the same order.
DEPTH_MAX: Final = 100
# Distinct stacks kept: some megabytes. What comes beyond them is counted as a stack of its own.
STACKS_MAX: Final = 20_000
OVERFLOW: Final = (Frame("(too many stacks)", "", 0),)

Stack = tuple[Frame, ...]


class Sampler:
    """One profile: `start`, some time, `stop`, `file`."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="profile", daemon=True)
        # Thread and stack: number of looks, nanoseconds of processor, nanoseconds.
        self._found: defaultdict[tuple[str, Stack], list[int]] = defaultdict(lambda: [0, 0, 0])
        self._used_ns: dict[int, int] = {}  # by the kernel's number of a thread
        self._begun_ns = self._took_ns = 0
        self.look_count = 0

    def start(self) -> None:
        self._begun_ns = time.time_ns()
        self._thread.start()

    def stop(self) -> None:
        """End it; does not wait longer than one look takes."""
        self._stopping.set()
        self._thread.join()

    def file(self) -> bytes:
        """Return what was seen, as a file of pprof."""
        profile = ProfileFile([("samples", "count"), ("cpu", "nanoseconds"), ("wall", "nanoseconds")])
        for (thread, stack), values in self._found.items():
            profile.add(stack, values, thread=thread)
        return profile.encode(
            begun_ns=self._begun_ns, took_ns=self._took_ns, period=("wall", "nanoseconds", INTERVAL_NS)
        )

    def _run(self) -> None:
        begun = last = time.monotonic_ns()
        self._look(0)
        while not self._stopping.wait(INTERVAL_SECONDS):
            now = time.monotonic_ns()
            self._look(now - last)
            last = now
        self._took_ns = time.monotonic_ns() - begun

    def _look(self, passed_ns: int) -> None:
        """Note all stacks. The first look only learns what each thread has used before."""
        self.look_count += 1
        frames = sys._current_frames()
        for thread in threading.enumerate():
            frame = frames.get(thread.ident or 0)
            if frame is None or thread is self._thread:
                continue
            used = self._take_used_ns(thread.native_id or 0)
            if not passed_ns:
                continue
            key = (thread.name, stack_of(frame))
            if len(self._found) >= STACKS_MAX and key not in self._found:
                key = (thread.name, OVERFLOW)
            values = self._found[key]
            values[0] += 1
            values[1] += used
            values[2] += passed_ns

    def _take_used_ns(self, native_id: int) -> int:
        """Return what a thread has used of the processor since this was last asked; 0 where the system does not say."""
        try:
            with open(f"/proc/self/task/{native_id}/schedstat", "rb") as file:
                used = int(file.read().split()[0])
        except (OSError, ValueError, IndexError):
            return 0
        before = self._used_ns.get(native_id, used)
        self._used_ns[native_id] = used
        return used - before


def stack_of(frame: FrameType | None) -> Stack:
    """Return the frames, innermost first."""
    stack: list[Frame] = []
    while frame is not None and len(stack) < DEPTH_MAX:
        code = frame.f_code
        stack.append(Frame(code.co_qualname, code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return tuple(stack)
