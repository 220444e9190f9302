"""Generations that were replaced: closed and removed as soon as no view reads them any more."""

from __future__ import annotations

import threading

from etcdpy.storage.backend.generation import Generation, Store


class Retirement:
    """The replaced generations of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[Generation] = []
        self._removals: list[threading.Thread] = []

    def add(self, generation: Generation) -> None:
        """Take a generation that nobody writes any more."""
        self._waiting.append(generation)
        self.sweep()

    def sweep(self) -> None:
        """Close and remove what no view pins. Views tell nobody when they end, so call it now and then."""
        if not self._waiting and not self._removals:
            return
        pinned = [generation for generation in self._waiting if generation.pins]
        for generation in self._waiting:
            if not generation.pins:
                self._remove(generation)
        self._waiting = pinned
        self._removals = [thread for thread in self._removals if thread.is_alive()]

    def close(self) -> None:
        """Close all, and wait for removals under way. What is still pinned is removed at the next open of the store."""
        for generation in self._waiting:
            generation.close()
        for removal in self._removals:
            removal.join()

    def _remove(self, generation: Generation) -> None:
        generation.close()
        # Unlinking a large file takes long; a crash in between leaves a folder that the next open removes.
        removal = threading.Thread(target=self._store.remove, args=(generation.path,), name="etcdpy-removal")
        removal.start()
        self._removals.append(removal)
