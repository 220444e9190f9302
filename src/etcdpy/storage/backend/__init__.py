"""The live key-value store: LMDB under a write buffer."""

from etcdpy.storage.backend.backend import Backend

__all__ = ["Backend"]
