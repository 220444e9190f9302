"""`snapshot restore`: what the flags ask for, checked and told in etcd's words. The work is `etcdpy.server.restore`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from etcdpy.base.invariant import StorageError
from etcdpy.cli.etcdctl.exits import ERROR, Exit
from etcdpy.cli.etcdctl.flags import ParsedFlags
from etcdpy.cli.etcdctl.zap import console_line
from etcdpy.embed.config import Config
from etcdpy.embed.errors import StartError
from etcdpy.embed.initial_cluster import check_initial_cluster
from etcdpy.embed.urls import UrlError, parse_urls
from etcdpy.server.founding import Founding, plan_founding
from etcdpy.server.restore import SnapshotRefused, restore
from etcdpy.state.members import Member
from etcdpy.storage.bolt.pages import BoltError

# What etcd's own tool ends with when it cannot open a database: it panics.
PANICKED: Final = 2
# A member's start says it so; the restore of 3.5 does not.
START_PREFIX: Final = "error setting up initial cluster: "


class Restoration:
    """One run of the command."""

    def __init__(self, flags: ParsedFlags, print_error: Callable[[str], None]) -> None:
        self._print_error = print_error
        self._snapshot = flags.arguments[0]
        self._name = flags.string("name")
        self._peer_urls = flags.string("initial-advertise-peer-urls")
        self._cluster = flags.string("initial-cluster")
        self._token = flags.string("initial-cluster-token")
        self._check_hash = not flags.boolean("skip-hash-check")
        self._data_dir = flags.string("data-dir") or f"{self._name}.etcd"
        self._wal_dir = flags.string("wal-dir") or os.path.normpath(os.path.join(self._data_dir, "member", "wal"))

    def run(self) -> None:
        """Make the directories, or end the program."""
        founding = self._plan()
        self._check_folders()
        places = {
            "path": self._snapshot,
            "wal-dir": self._wal_dir,
            "data-dir": self._data_dir,
            "snap-dir": os.path.normpath(os.path.join(self._data_dir, "member", "snap")),
        }
        self._log("restoring snapshot", "snapshot/v3_snapshot.go:251", places)
        self._restore(founding)
        self._log("restored snapshot", "snapshot/v3_snapshot.go:272", places)

    def _plan(self) -> Founding:
        try:
            config = Config(
                name=self._name,
                initial_cluster=self._cluster,
                initial_cluster_token=self._token,
                initial_advertise_peer_urls=parse_urls(self._peer_urls),
            )
            urls_by_name = check_initial_cluster(config)
        except (UrlError, StartError) as error:
            raise Exit(ERROR, str(error).removeprefix(START_PREFIX)) from None
        return plan_founding(urls_by_name, self._name, self._token)

    def _check_folders(self) -> None:
        try:
            is_free = not os.path.lexists(self._data_dir) or not os.listdir(self._data_dir)
        except OSError:
            is_free = False
        if not is_free:
            raise Exit(ERROR, f'data-dir "{self._data_dir}" not empty or could not be read')
        if os.path.lexists(self._wal_dir):
            raise Exit(ERROR, f'wal-dir "{self._wal_dir}" exists')

    def _restore(self, founding: Founding) -> None:
        try:
            restore(
                Path(self._snapshot),
                founding,
                data_dir=Path(self._data_dir),
                wal_dir=Path(self._wal_dir),
                check_hash=self._check_hash,
                on_database=lambda: self._log(
                    "Trimming membership information from the backend...", "membership/store.go:141"
                ),
                on_member=lambda member: self._log_member(founding, member),
            )
        except SnapshotRefused as error:
            raise Exit(ERROR, str(error)) from None
        except BoltError as error:
            raise Exit(PANICKED, f"failed to open database: {error}") from None
        except StorageError as error:
            raise Exit(ERROR, str(error)) from None
        except OSError as error:
            step = "open" if error.filename == self._snapshot else "mkdir"
            raise Exit(ERROR, f"{step} {error.filename}: {(error.strerror or '').lower()}") from None

    def _log_member(self, founding: Founding, member: Member) -> None:
        fields: dict[str, object] = {
            "cluster-id": f"{founding.cluster_id:x}",
            "local-member-id": "0",
            "added-peer-id": f"{member.id:x}",
            "added-peer-peer-urls": list(member.peer_urls),
        }
        self._log("added member", "membership/cluster.go:421", fields)

    def _log(self, message: str, caller: str, fields: dict[str, object] | dict[str, str] | None = None) -> None:
        self._print_error(console_line("info", message, caller=caller, fields=fields))
