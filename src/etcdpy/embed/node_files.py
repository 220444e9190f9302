"""What a node takes from its files before there is anything around them: the store, raft's log, and who it is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from etcdpy.base.ids import format_id
from etcdpy.base.log import Duration, log_error, log_info, log_warn
from etcdpy.embed.bootstrap_defrag import maybe_defragment
from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.raft.storage import MemoryStorage
from etcdpy.server.bootstrap import Folders, Recovered
from etcdpy.state.v2store.store import CLUSTER_NAMESPACE
from etcdpy.storage.backend import Backend
from etcdpy.storage.bolt.takeover import import_bolt, open_or_take_over

# The first stage of --v2-deprecation: the v2 store may hold anything.
V2_NOT_YET: Final = "not-yet"


def open_backend(
    config: Config, folders: Folders, recovered: Recovered, log: logging.Logger, wake: Callable[[], object]
) -> Backend:
    started = time.perf_counter()

    def open_it() -> Backend:
        return open_or_take_over(
            folders.member,
            batch_interval_seconds=config.batch_interval_seconds,
            batch_limit=config.batch_limit,
            wake=wake,
        )

    backend = open_it()
    snapshot, received = recovered.snapshot, Path(recovered.snapshotter.db_file_path(recovered.snapshot.index))
    if backend.consistent_index < snapshot.index and received.exists():
        # The log took a leader's snapshot, and the member ended before the store did.
        backend.close()
        import_bolt(received, folders.member, origin="snapshot")
        backend = open_it()
        log_info(log, "recovered the store from a received snapshot", path=str(received))
        if backend.consistent_index < snapshot.index:
            backend.end_entry(snapshot.index, snapshot.term)
    log_info(log, "opened backend db", path=str(folders.member / "store"), took=Duration(time.perf_counter() - started))
    maybe_defragment(backend, config.bootstrap_defrag_threshold_megabytes, log)
    return backend


def check_v2_content(recovered: Recovered, stage: str, log: logging.Logger) -> None:
    """What users of the v2 API have stored is warned of, and refused from the stage on that forbids it.

    As in etcd the snapshot is looked at, not what the log holds since. Raise StartError.
    """
    store = recovered.v2store
    others = [path for path in store.list_children("/") if path != CLUSTER_NAMESPACE]
    if not any(store.list_children(path) for path in others):
        return
    if stage != V2_NOT_YET:
        recovered.wal.close()
        error = f"detected disallowed custom content in v2store for stage --v2-deprecation={stage}"
        log_error(log, "illegal v2store content", error=error)
        raise StartError(error)
    log_warn(
        log,
        "detected custom v2store content. Etcd v3.5 is the last version allowing to access it using API v2. "
        "Please remove the content.",
    )


def fill_raft_storage(recovered: Recovered) -> MemoryStorage:
    storage = MemoryStorage()
    if not recovered.snapshot.is_empty():
        storage.apply_snapshot(recovered.snapshot)
    storage.set_hard_state(recovered.hard_state)
    if recovered.entries:
        storage.append(recovered.entries)
    return storage


def log_local_member(log: logging.Logger, recovered: Recovered) -> None:
    ids = {"cluster_id": format_id(recovered.cluster_id), "local_member_id": format_id(recovered.member_id)}
    if recovered.is_new:
        log_info(log, "starting local member", **ids)
    elif recovered.is_forced:
        if recovered.discarded_count:
            count = recovered.discarded_count
            log_info(log, "discarding uncommitted WAL entries", number_of_discarded_entries=count)
        log_info(log, "forcing restart member", commit_index=recovered.hard_state.commit, **ids)
    else:
        log_info(log, "restarting local member", commit_index=recovered.hard_state.commit, **ids)
