"""What is compiled takes any bucket store: the real backend and the simulator's have all that it asks for."""

from __future__ import annotations

import inspect

import pytest

from etcdpy.sim.backend import VirtualBackend
from etcdpy.storage.backend import Backend
from etcdpy.storage.backend.bucket_store import BucketStore

NAMES = [name for name in vars(BucketStore) if not name.startswith("_")]


@pytest.mark.parametrize("store", [Backend, VirtualBackend])
@pytest.mark.parametrize("name", NAMES)
def test_every_store_has_every_method(store: type, name: str) -> None:
    wanted = getattr(BucketStore, name)
    found = getattr(store, name)
    if not isinstance(wanted, property):
        assert len(inspect.signature(found).parameters) == len(inspect.signature(wanted).parameters)
