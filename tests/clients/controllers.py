"""What works upon an API server: controllers that change objects, a reflector that follows them, listers, compactors.

Each is a thread with a client of its own over all members, and goes on through failures until `stop` is set.

Rules
  * A change appends a mark of its own to an object. One that was acknowledged is there once, for ever; one of unknown
    outcome at most once; nothing else is there.
  * The reflector's picture is a list and then every event: each one's previous value is what the picture held.
  * A paged list is the picture of its revision.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from typing import Final

from etcdpy.base.errors import DEADLINE_EXCEEDED, OUT_OF_RANGE, UNAVAILABLE, EtcdError
from etcdpy.client.client import Client
from tests.clients.api_server import Compactor, Storage

OBJECTS: Final = [b"pods/p%d" % number for number in range(6)]
PAGE_ITEMS: Final = 2
# What a member that dies or has no leader makes of a call; and a list that a compaction overtook.
EXPECTED_CODES: Final = (UNAVAILABLE, DEADLINE_EXCEEDED)
COMPACTION_PAUSE_SECONDS: Final = 0.5
WATCH_SECONDS: Final = 1.0
LAST: Final = b"pods/the-last"

Picture = dict[bytes, tuple[int, bytes]]


class Worker(threading.Thread):
    """Does `step` again and again; an error that is not expected ends it, and `finish` raises it."""

    def __init__(self, endpoints: Sequence[str], stop: threading.Event) -> None:
        super().__init__()
        self.client = Client(endpoints, command_timeout=10.0)
        self.storage = Storage(self.client)
        self.steps = 0
        self._stopping = stop
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            with self.client:
                while not self.is_done():
                    self._try_step()
        except BaseException as error:
            self._error = error

    def _try_step(self) -> None:
        try:
            self.step()
            self.steps += 1
        except EtcdError as error:
            if error.code not in EXPECTED_CODES:
                raise

    def is_done(self) -> bool:
        return self._stopping.is_set()

    def step(self) -> None:
        """What this kind of worker does once."""

    def finish(self) -> None:
        self.join()
        if self._error is not None:
            raise self._error


class Controller(Worker):
    def __init__(self, endpoints: Sequence[str], stop: threading.Event, number: int) -> None:
        super().__init__(endpoints, stop)
        self._random = random.Random(number)
        self._name = b"c%d" % number
        self._attempts = 0
        self.acknowledged: dict[bytes, list[bytes]] = {name: [] for name in OBJECTS}
        self.attempted: set[bytes] = set()

    def step(self) -> None:
        name = self._random.choice(OBJECTS)
        self._attempts += 1
        mark = b"%b.%d " % (self._name, self._attempts)
        self.attempted.add(mark)
        self.storage.update(name, lambda value: value + mark)
        self.acknowledged[name].append(mark)


class Reflector(Worker):
    """Lists, then watches until it has seen `LAST`."""

    def __init__(self, endpoints: Sequence[str], stop: threading.Event) -> None:
        super().__init__(endpoints, stop)
        self.picture: Picture = {}
        self.pictures: list[tuple[int, Picture]] = []
        # Revisions that were not seen, because a compaction was faster: after the first, before the second.
        self.gaps: list[tuple[int, int]] = []

    def is_done(self) -> bool:
        return b"/registry/" + LAST in self.picture

    def step(self) -> None:
        listed, revision = list_pages(self.storage)
        if self.pictures:
            self.gaps.append((self.pictures[-1][0], revision))
        self._show(revision, listed)
        with self.storage.watch(b"pods/", revision) as watcher:
            while not self.is_done():
                try:
                    response = watcher.read(WATCH_SECONDS)
                except TimeoutError:
                    continue
                if response is None or response.canceled:
                    return  # compacted: list again
                for event in response.events:
                    pair, known = event.kv, self.picture.get(event.kv.key, (0, b""))
                    assert pair.mod_revision > self.pictures[-1][0], "an event came late or twice"
                    assert (event.prev_kv.mod_revision, event.prev_kv.value) == known, "an event is missing"
                    self._show(pair.mod_revision, {**self.picture, pair.key: (pair.mod_revision, pair.value)})

    def _show(self, revision: int, picture: Picture) -> None:
        self.picture = picture
        self.pictures.append((revision, picture))

    def picture_at(self, revision: int) -> Picture | None:
        """Return what there was at a revision, None where that was not seen."""
        if revision < self.pictures[0][0] or any(first < revision < second for first, second in self.gaps):
            return None
        return next(picture for at, picture in reversed(self.pictures) if at <= revision)


class Lister(Worker):
    def __init__(self, endpoints: Sequence[str], stop: threading.Event) -> None:
        super().__init__(endpoints, stop)
        self.lists: list[tuple[int, Picture]] = []

    def step(self) -> None:
        try:
            picture, revision = list_pages(self.storage)
        except EtcdError as error:
            if error.code != OUT_OF_RANGE:
                raise
            return  # compacted meanwhile: what the API server answers with "410 Gone"
        self.lists.append((revision, picture))


class Rival(Worker):
    """One of several API servers, which compact in turn."""

    def __init__(self, endpoints: Sequence[str], stop: threading.Event) -> None:
        super().__init__(endpoints, stop)
        self._compactor = Compactor(self.client)
        self.compactions = 0

    def step(self) -> None:
        self._stopping.wait(COMPACTION_PAUSE_SECONDS)
        self.compactions += self._compactor.compact()


def list_pages(storage: Storage) -> tuple[Picture, int]:
    picture: Picture = {}
    for page in storage.pages(b"pods/", PAGE_ITEMS):
        picture.update((pair.key, (pair.mod_revision, pair.value)) for pair in page.items)
    return picture, page.revision


def wait_steps(workers: Sequence[Worker], count: int, wait: Callable[[Callable[[], bool]], None]) -> None:
    """Wait until each of them is `count` steps further."""
    goals = [worker.steps + count for worker in workers]
    wait(
        lambda: all(worker.steps >= goal or not worker.is_alive() for worker, goal in zip(workers, goals, strict=True))
    )
