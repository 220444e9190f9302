"""/debug/pprof/: where Go's etcd shows its profiles, what there is of the kind in Python. Only with --enable-pprof.

    profile?seconds=30      what the threads did: see `sampler`; a file of pprof
    goroutine               the stacks of threads and of asyncio's tasks; `?debug=1` as text, else a file of pprof
    heap                    what `tracemalloc` knows of memory, when the process was started with it
    cmdline                 the command line, its arguments separated by NUL

The other profiles of Go (allocs, block, mutex, threadcreate, trace) have nothing behind them here: unknown.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from etcdpy.api.ops.profile_file import Frame, ProfileFile
from etcdpy.api.ops.responses import error_response, text_response
from etcdpy.api.ops.sampler import Sampler, Stack, stack_of

PREFIX: Final = "/debug/pprof"
# Go's answer to a request that says nothing of it, or nonsense.
SECONDS_DEFAULT: Final = 30.0
# Nobody watches longer than that at a hundred looks a second; a connection that is forgotten must not profile for ever.
SECONDS_MAX: Final = 3_600.0
# Places of allocation in the text form.
HEAP_LINES_MAX: Final = 200

METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
NO_TRACEMALLOC: Final = "heap profiles need tracemalloc: start with PYTHONTRACEMALLOC=1 (which costs memory and time)"

INDEX: Final = """<html>
<head><title>/debug/pprof/</title></head>
<body>
/debug/pprof/<br>
<br>
Types of profiles available:
<ul>
<li><a href="cmdline">cmdline</a>: The command line of this process</li>
<li><a href="goroutine?debug=1">goroutine</a>: Stacks of threads and asyncio tasks; without debug=1 as a pprof file</li>
<li><a href="heap?debug=1">heap</a>: Memory by where it was allocated, when tracemalloc is on</li>
<li><a href="profile">profile</a>: What all threads do for the next seconds (?seconds=30), as a pprof file</li>
</ul>
</body>
</html>
"""


def pprof_routes() -> list[BaseRoute]:
    endpoints = _Pprof()
    return [
        Route(PREFIX, _to_index, methods=METHODS),
        Route(f"{PREFIX}/", _index, methods=METHODS),
        Route(f"{PREFIX}/cmdline", _cmdline, methods=METHODS),
        Route(f"{PREFIX}/profile", endpoints.profile, methods=METHODS),
        Route(f"{PREFIX}/goroutine", _goroutine, methods=METHODS),
        Route(f"{PREFIX}/heap", endpoints.heap, methods=METHODS),
        Route(f"{PREFIX}/{{name:path}}", _unknown, methods=METHODS),
    ]


class _Pprof:
    def __init__(self) -> None:
        self._is_profiling = False
        self._heap_turn = asyncio.Lock()  # a snapshot is large, and takes a while

    async def heap(self, request: Request) -> Response:
        async with self._heap_turn:
            return await _heap(request)

    async def profile(self, request: Request) -> Response:
        if self._is_profiling:
            return error_response("Could not enable CPU profiling: cpu profiling already in use", 500)
        self._is_profiling = True
        sampler = Sampler()
        sampler.start()
        try:
            await _wait(request, _read_seconds(request))
        finally:
            sampler.stop()
            self._is_profiling = False
        return _file("profile", await asyncio.to_thread(sampler.file))


def _read_seconds(request: Request) -> float:
    try:
        seconds = float(request.query_params.get("seconds", ""))
    except ValueError:
        return SECONDS_DEFAULT
    return min(seconds, SECONDS_MAX) if seconds > 0 else SECONDS_DEFAULT


async def _wait(request: Request, seconds: float) -> None:
    """Wait so long, or until whoever asked has gone: nobody else gets a profile meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass


async def _to_index(request: Request) -> Response:
    body = f'<a href="{PREFIX}/">Moved Permanently</a>.\n\n'
    headers = {"Location": f"{PREFIX}/", "Content-Type": "text/html; charset=utf-8"}
    return Response(body, status_code=301, headers=headers)


async def _index(request: Request) -> Response:
    return Response(INDEX, headers={"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff"})


async def _cmdline(request: Request) -> Response:
    return text_response("\0".join(sys.argv))


async def _unknown(request: Request) -> Response:
    return error_response("Unknown profile", 404, {"X-Go-Pprof": "1"})


async def _goroutine(request: Request) -> Response:
    stacks = [*_thread_stacks(), *_task_stacks()]
    if request.query_params.get("debug", "0") not in ("", "0"):
        lines = [f"{len(stacks)} threads and tasks", ""]
        for name, stack in stacks:
            lines += [name, *(f"\t{frame.function}\n\t\t{frame.file}:{frame.line}" for frame in stack), ""]
        return text_response("\n".join(lines))
    profile = ProfileFile([("goroutine", "count")])
    for name, stack in stacks:
        profile.add(stack, [1], thread=name)
    return _file("goroutine", profile.encode())


def _thread_stacks() -> Iterator[tuple[str, Stack]]:
    frames = sys._current_frames()
    for thread in threading.enumerate():
        yield f"thread {thread.name}", stack_of(frames.get(thread.ident or 0))


def _task_stacks() -> Iterator[tuple[str, Stack]]:
    for task in sorted(asyncio.all_tasks(), key=lambda task: task.get_name()):
        frames = [Frame(each.f_code.co_qualname, each.f_code.co_filename, each.f_lineno) for each in task.get_stack()]
        yield f"task {task.get_name()}", tuple(reversed(frames))


async def _heap(request: Request) -> Response:
    if not tracemalloc.is_tracing():
        return error_response(NO_TRACEMALLOC, 404)
    is_text = request.query_params.get("debug", "0") not in ("", "0")
    # On a thread: with much memory in use it takes a while.
    snapshot = await asyncio.to_thread(tracemalloc.take_snapshot)
    if is_text:
        return text_response(await asyncio.to_thread(_heap_text, snapshot))
    return _file("heap", await asyncio.to_thread(_heap_file, snapshot))


def _heap_text(snapshot: tracemalloc.Snapshot) -> str:
    places = snapshot.statistics("lineno")
    lines = [f"heap profile: {sum(p.count for p in places)}: {sum(p.size for p in places)}", ""]
    lines += [f"{place.count}: {place.size} {place.traceback}" for place in places[:HEAP_LINES_MAX]]
    return "\n".join(lines) + "\n"


def _heap_file(snapshot: tracemalloc.Snapshot) -> bytes:
    profile = ProfileFile([("inuse_objects", "count"), ("inuse_space", "bytes")])
    for place in snapshot.statistics("traceback"):
        stack = [Frame(frame.filename, frame.filename, frame.lineno) for frame in reversed(place.traceback)]
        profile.add(stack, [place.count, place.size])
    return profile.encode()


def _file(name: str, body: bytes) -> Response:
    return Response(
        body,
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Disposition": f'attachment; filename="{name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
