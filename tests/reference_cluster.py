"""A cluster of real etcds (or of ours, by `binary`) on loopback; members can be stopped, restarted and added.

    with start_reference_cluster(tmp_path, 3) as cluster:
        cluster.members[0].stop()
        cluster.members[0].restart()
        fourth = cluster.add_member()           # `member add` by the real etcdctl, then its process

Rules
  * Names are m0, m1, ...; data and log of a member stand below the given path as `<name>.etcd` and `<name>.log`.
  * Ports are asked from the kernel for all founding members before the first one starts, for each must know the others.
    Should another process take one meanwhile, the founding is tried again with new ports and new directories.
  * A member's binary and flags may differ: `restart(binary=...)` puts another program into its place.
  * `stop()` ends what was started here, and only that.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.reference import (
    START_ATTEMPTS_MAX,
    RunningEtcd,
    clean_environment,
    free_port,
    reference_binary,
    start_reference_etcd,
    wait_until_healthy,
)

CTL_SECONDS_MAX: Final = 60
SETTLE_SECONDS_MAX: Final = 30.0


class ClusterMember:
    """One member: where it is reached, and its process of the moment."""

    def __init__(
        self,
        folder: Path,
        name: str,
        *,
        client_port: int,
        peer_port: int,
        initial_cluster: str,
        cluster_token: str,
        binary: Path | None,
        flags: Sequence[str],
    ) -> None:
        self.name = name
        self.client_url = f"http://127.0.0.1:{client_port}"
        self.peer_url = f"http://127.0.0.1:{peer_port}"
        self.data_dir = folder / f"{name}.etcd"
        self.log_path = folder / f"{name}.log"
        self._folder = folder
        self._ports = client_port, peer_port
        self._initial_cluster = initial_cluster
        self._cluster_token = cluster_token
        self._binary = binary
        self._flags = flags
        self.running: RunningEtcd | None = None

    @property
    def endpoint(self) -> str:
        """host:port of the client URL."""
        return self.client_url.partition("://")[2]

    def start(self, *, wait: bool = True) -> None:
        """Start its process. Without `wait` nothing is known about it afterwards."""
        self.running = start_reference_etcd(
            self._folder,
            name=self.name,
            client_port=self._ports[0],
            peer_port=self._ports[1],
            cluster_token=self._cluster_token,
            initial_cluster=self._initial_cluster,
            data_dir=self.data_dir,
            flags=self._flags,
            binary=self._binary,
            wait=wait,
        )

    def stop(self) -> None:
        """End it by SIGTERM; its directory stays."""
        if self.running is not None:
            self.running.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        if self.running is not None:
            self.running.kill()

    def restart(self, *, binary: Path | None = None, flags: Sequence[str] | None = None, wait: bool = True) -> None:
        """Stop it where it runs, and start it again; by another program or with other flags when given."""
        self.stop()
        self._binary = binary or self._binary
        self._flags = self._flags if flags is None else flags
        self.start(wait=wait)

    def wait_until_healthy(self) -> None:
        """Wait until it serves, which needs a leader."""
        assert self.running is not None, f"{self.name} was never started"
        wait_until_healthy(self.running)


class RunningCluster:
    """The members of one cluster, those added later included; removed ones too, unless taken out."""

    def __init__(self, folder: Path, members: list[ClusterMember], *, cluster_token: str) -> None:
        self.members = members
        self._folder = folder
        self._cluster_token = cluster_token
        self._named_count = len(members)

    @property
    def endpoints(self) -> str:
        """All client endpoints, as --endpoints wants them."""
        return ",".join(member.endpoint for member in self.members)

    def wait_until_healthy(self) -> None:
        """Wait until every member with a living process serves."""
        for member in self.members:
            if member.running is not None and member.running.process.poll() is None:
                member.wait_until_healthy()

    def ctl(self, *arguments: str, ctl: Sequence[str] | None = None) -> str:
        """Run the real etcdctl (or `ctl`) against all members; return its output. A failure raises, with its stderr."""
        done = subprocess.run(
            [*(ctl or [str(reference_binary("etcdctl"))]), f"--endpoints={self.endpoints}", *arguments],
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=CTL_SECONDS_MAX,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"etcdctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def member_ids(self) -> dict[str, int]:
        """Return name -> id of the started members."""
        rows = [line.split(", ") for line in self.ctl("member", "list").splitlines()]
        return {row[2]: int(row[0], 16) for row in rows if row[2]}

    def leader(self) -> ClusterMember:
        """Return the member that calls itself the leader. Raise LookupError when none does."""
        rows = [line.split(", ") for line in self.ctl("endpoint", "status").splitlines()]
        endpoints = {row[0] for row in rows if row[4] == "true"}
        for member in self.members:
            if member.endpoint in endpoints:
                return member
        raise LookupError("no member calls itself the leader")

    def add_member(
        self,
        *,
        learner: bool = False,
        start: bool = True,
        binary: Path | None = None,
        flags: Sequence[str] = (),
        ctl: Sequence[str] | None = None,
    ) -> ClusterMember:
        """Make one more member known, and start it; a learner is started, but never healthy by /health."""
        name = f"m{self._named_count}"
        self._named_count += 1
        client_port, peer_port = free_port(), free_port()
        peer_url = f"http://127.0.0.1:{peer_port}"
        printed = self.ctl_when_settled(
            "member", "add", name, f"--peer-urls={peer_url}", *(["--learner"] if learner else []), ctl=ctl
        )
        lines = dict(line.split("=", 1) for line in printed.splitlines() if line.startswith("ETCD_"))
        member = ClusterMember(
            self._folder,
            name,
            client_port=client_port,
            peer_port=peer_port,
            initial_cluster=lines["ETCD_INITIAL_CLUSTER"].strip('"'),
            cluster_token=self._cluster_token,
            binary=binary,
            flags=("--initial-cluster-state=existing", *flags),
        )
        self.members.append(member)
        if start:
            member.start(wait=not learner)
        return member

    def ctl_when_settled(self, *arguments: str, ctl: Sequence[str] | None = None) -> str:
        """Change the membership. Members refuse that until they have been connected with each other for 5 s.

        etcdctl takes one endpoint after the other, and a learner refuses it always: then another one is asked. A
        learner is in sync once it holds nine tenths of the log: of a dozen entries that is all but the last one.
        """
        passing = (
            "etcdserver: unhealthy cluster",
            "etcdserver: rpc not supported for learner",
            "etcdserver: can only promote a learner member which is in sync with leader",
        )
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while True:
            try:
                return self.ctl(*arguments, ctl=ctl)
            except RuntimeError as error:
                if not any(text in str(error) for text in passing) or time.monotonic() > deadline:
                    raise

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something that the members agree on sooner or later."""
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so after {SETTLE_SECONDS_MAX} s")

    def stop(self) -> None:
        """End all members: everybody is told first, for a leader hands over before it goes."""
        for member in self.members:
            if member.running is not None and member.running.process.poll() is None:
                member.running.process.terminate()
        for member in self.members:
            member.stop()

    def __enter__(self) -> RunningCluster:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def start_reference_cluster(
    tmp_path: Path,
    size: int,
    *,
    cluster_token: str = "etcd-cluster",
    ports: Sequence[tuple[int, int]] | None = None,
    binaries: Sequence[Path | None] = (),
    flags: Sequence[str] = (),
) -> RunningCluster:
    """Start a new cluster and wait until every member serves.

    `ports` (client, peer) fix the URLs, and by that all ids; `binaries` replace the real etcd member by member.
    """
    for attempt in range(1, START_ATTEMPTS_MAX + 1):
        chosen = ports or [(free_port(), free_port()) for _ in range(size)]
        initial = ",".join(f"m{at}=http://127.0.0.1:{peer}" for at, (_, peer) in enumerate(chosen))
        members = [
            ClusterMember(
                tmp_path,
                f"m{at}",
                client_port=client,
                peer_port=peer,
                initial_cluster=initial,
                cluster_token=cluster_token,
                binary=binaries[at] if at < len(binaries) else None,
                flags=flags,
            )
            for at, (client, peer) in enumerate(chosen)
        ]
        cluster = RunningCluster(tmp_path, members, cluster_token=cluster_token)
        try:
            for member in members:
                member.start(wait=False)
            _wait_until_founded(cluster)
        except BaseException as error:
            cluster.stop()
            if not isinstance(error, RuntimeError) or attempt == START_ATTEMPTS_MAX or ports:
                raise
            for member in members:
                shutil.rmtree(member.data_dir, ignore_errors=True)
            continue
        return cluster
    raise AssertionError("unreachable: the last attempt returns or raises")


def _wait_until_founded(cluster: RunningCluster) -> None:
    """Wait until all founding members serve; raise RuntimeError with the end of a log when one does not."""
    for member in cluster.members:
        try:
            member.wait_until_healthy()
        except RuntimeError as error:
            tail = "\n".join(member.log_path.read_text(errors="replace").splitlines()[-10:])
            raise RuntimeError(f"{member.name}: {error}; its log ends:\n{tail}") from None
