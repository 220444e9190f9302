"""A Patroni node on loopback: Patroni, the PostgreSQL that it runs, and what it says about them over HTTP.

Rules
  * Everything of a node lies in `folder`: settings, log, database, socket.
  * The times are the shortest that Patroni allows: a dead primary is noticed after `TTL_SECONDS`.
  * `stop` ends Patroni and the postmaster that it left behind, by the pid in postmaster.pid; `kill` does so by SIGKILL.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.clients.waiting import SETTLE_SECONDS_MAX, wait_until
from tests.reference import clean_environment, free_port

SCOPE: Final = "demo"
TTL_SECONDS: Final = 20
STOP_SECONDS_MAX: Final = 30.0
# Speed, not safety: this machine does not lose power during a test.
PARAMETERS: Final = {"fsync": False, "full_page_writes": False, "max_connections": 20, "shared_buffers": "16MB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """What a node is made of. `prefix` makes an ordinary user of root."""

    patroni: Path
    postgresql: Path
    prefix: Sequence[str]


class PatroniNode:
    def __init__(self, folder: Path, name: str, programs: Programs, store: dict[str, Any]) -> None:
        self.name = name
        self.data_dir = folder / f"{name}.data"
        self.log_path = folder / f"{name}.log"
        self.settings_path = folder / f"{name}.yml"
        self._folder = folder
        self._programs = programs
        self.rest_port, self.sql_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.settings_path.write_text(yaml.safe_dump(self._settings(store)))

    def _settings(self, store: dict[str, Any]) -> dict[str, Any]:
        rest, sql = f"127.0.0.1:{self.rest_port}", f"127.0.0.1:{self.sql_port}"
        times = {"ttl": TTL_SECONDS, "loop_wait": 1, "retry_timeout": 3}
        return {
            "scope": SCOPE,
            "name": self.name,
            "restapi": {"listen": rest, "connect_address": rest},
            "etcd3": store,
            "bootstrap": {
                "dcs": {**times, "postgresql": {"use_pg_rewind": False, "parameters": PARAMETERS}},
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "no-sync"],
            },
            "postgresql": {
                "listen": sql,
                "connect_address": sql,
                "data_dir": str(self.data_dir),
                "bin_dir": str(self._programs.postgresql),
                "pgpass": str(self._folder / f"{self.name}.pgpass"),
                "parameters": {"unix_socket_directories": str(self._folder)},
                "pg_hba": ["host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"],
                "authentication": {
                    "superuser": {"username": "postgres", "password": "secret"},
                    "replication": {"username": "replicator", "password": "secret"},
                },
            },
        }

    def start(self) -> None:
        command = [*self._programs.prefix, str(self._programs.patroni / "bin/patroni"), str(self.settings_path)]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=clean_environment(), cwd=self._folder, start_new_session=True
            )

    def kill(self) -> None:
        """End Patroni and PostgreSQL as a crash of their machine would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        # Patroni stops its PostgreSQL when it ends by SIGTERM; what is left then ends at once.
        self._end(signal.SIGTERM)
        self._end(signal.SIGKILL)

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            try:
                self._process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS_MAX)
        postmaster = self._postmaster()
        if postmaster and by == signal.SIGKILL:
            os.kill(postmaster, by)
            wait_until("the postmaster is gone", lambda: not _lives(postmaster))

    def _postmaster(self) -> int | None:
        try:
            pid = int((self.data_dir / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None
        return pid if _lives(pid) else None

    def says(self, path: str) -> dict[str, Any] | None:
        """Return what its REST interface answers, None where it does not."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=5)
        try:
            connection.request("GET", path)
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def roles(self) -> dict[str, tuple[str, str]]:
        """Return role and state of every node, as this one sees the cluster."""
        seen = self.says("/cluster") or {}
        return {member["name"]: (member["role"], member["state"]) for member in seen.get("members", ())}

    def sql(self, statement: str) -> str:
        """Return what psql prints. Raise RuntimeError."""
        command = [str(self._programs.postgresql / "psql"), "-h", "127.0.0.1", "-p", str(self.sql_port)]
        return _run([*command, "-U", "postgres", "-XAtqc", statement, "postgres"])

    def patronictl(self, *arguments: str) -> str:
        """Return what patronictl prints. Raise RuntimeError."""
        return _run([str(self._programs.patroni / "bin/patronictl"), "-c", str(self.settings_path), *arguments])


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env=clean_environment(), timeout=SETTLE_SECONDS_MAX, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
