"""How members of clusters of several come to life: a real three-member cluster is the judge.

Its logs must begin with what we would write; whom it refuses we refuse in the same words; what we force to be alone a
real etcd takes for a cluster of one.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest

from etcdpy.base.log import silent_logger
from etcdpy.embed.config import Config
from etcdpy.embed.discovery_v2 import V2Discovery
from etcdpy.embed.discovery_v3 import discover_v3
from etcdpy.pb import etcdserver_pb2
from etcdpy.server.bootstrap import Folders, Identity, recover
from etcdpy.server.founding import plan_founding
from etcdpy.server.joining import is_bootstrapped, join
from etcdpy.storage.wal import WalContents, WalSnapshot, read_contents
from etcdpy.transport.peer_http import fetch
from tests.ours import ours_binary
from tests.reference import (
    RunningEtcd,
    clean_environment,
    free_port,
    reference_binary,
    start_reference_etcd,
    wait_until_healthy,
)

TOKEN: Final = "a-token"
SECONDS_MAX: Final = 60.0


class Cluster:
    """Three real members."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.urls = {f"m{number}": (f"http://127.0.0.1:{free_port()}",) for number in (1, 2, 3)}
        self.members: dict[str, RunningEtcd] = {}

    @property
    def flag(self) -> str:
        return ",".join(f"{name}={url}" for name, urls in self.urls.items() for url in urls)

    def start(self, stack: ExitStack) -> None:
        for name, urls in self.urls.items():
            self.members[name] = stack.enter_context(
                start_reference_etcd(
                    self.folder,
                    name=name,
                    peer_port=int(urls[0].rpartition(":")[2]),
                    initial_cluster=self.flag,
                    cluster_token=TOKEN,
                    flags=("--enable-v2",),
                    wait=False,
                )
            )
        for member in self.members.values():
            wait_until_healthy(member)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for all who only ask it."""
    with ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"))
        cluster.start(stack)
        yield cluster


def read_wal(data_dir: Path) -> WalContents:
    return read_contents(str(data_dir / "member" / "wal"), WalSnapshot())


def ids_of(contents: WalContents) -> tuple[int, int]:
    metadata = etcdserver_pb2.Metadata.FromString(contents.metadata)
    return metadata.NodeID, metadata.ClusterID


@pytest.mark.parametrize("name", ["m1", "m2", "m3"])
def test_a_founding_is_the_same_byte_by_byte(cluster: Cluster, name: str) -> None:
    theirs = read_wal(cluster.members[name].data_dir)

    ours = plan_founding(cluster.urls, name, TOKEN)

    assert ids_of(theirs) == (ours.member_id, ours.cluster_id)
    assert [entry.encode() for entry in theirs.entries[:3]] == [entry.encode() for entry in ours.entries()]


# -- whom it refuses: the name, the flags besides, with {free} for a peer URL that is nobody's and {m1} for a known one

REFUSALS: Final = {
    "one too many": ("m4", "--initial-cluster={cluster},m4={free} --initial-cluster-state=existing"),
    "another place": ("m3", "--initial-cluster=m1={m1},m2={m2},m3={free} --initial-cluster-state=existing"),
    "already served": ("m1", "--initial-cluster={cluster} --initial-advertise-peer-urls={m1}"),
    "not among them": ("m9", "--initial-cluster={cluster} --initial-cluster-state=existing"),
    "nobody there": ("m9", "--initial-cluster=m1={nobody},m9={free} --initial-cluster-state=existing"),
    "alone": ("m9", "--initial-cluster=m9={free} --initial-cluster-state=existing"),
    "one url twice": ("m9", "--initial-cluster=m1={free},m9={free} --initial-cluster-state=existing"),
    "no such token": ("m9", "--discovery={client}/v2/keys/nope/nope"),
    "no size": ("m9", "--discovery={client}/v2/keys/dir/nosize"),
    "bad size": ("m9", "--discovery={client}/v2/keys/dir/badsize"),
    "full": ("m9", "--discovery={client}/v2/keys/dir/full --discovery-fallback=exit"),
    "a bad registration": ("m9", "--discovery={client}/v2/keys/dir/badurl"),
    "a name twice": ("m9", "--discovery={client}/v2/keys/dir/name"),
    "a url twice": ("m9", "--discovery={client}/v2/keys/dir/url"),
    "no v2 keys": ("m9", "--discovery={client}/version"),
    "no etcd": ("m9", "--discovery={client}/nothing/here"),
    "a proxy that is none": ("m9", "--discovery={client}/v2/keys/x --discovery-proxy=http://a%zz"),
    "discovery and existing": ("m9", "--discovery={client}/v2/keys/x --initial-cluster-state=existing"),
}
KEYS: Final = {
    "nosize/x": "x",
    "badsize/_config/size": "x",
    "full/_config/size": "1",
    "full/1": "m1=http://127.0.0.1:1",
    "badurl/_config/size": "2",
    "badurl/1": "m1",
    "name/_config/size": "2",
    "name/1": "m9=http://127.0.0.1:1",
    "url/_config/size": "2",
    "url/1": "m1={free}",
}
# Go's words for what the network did.
NETWORK: Final = frozenset({"failed to get cluster response"})


@pytest.mark.parametrize("case", REFUSALS)
def test_who_is_refused_is_told_the_same(cluster: Cluster, tmp_path: Path, case: str) -> None:
    name, flags = REFUSALS[case]
    free = f"http://127.0.0.1:{free_port()}"
    words = {
        "cluster": cluster.flag,
        "free": free,
        "nobody": f"http://127.0.0.1:{free_port()}",
        "client": cluster.members["m1"].client_url,
        **{member: urls[0] for member, urls in cluster.urls.items()},
    }
    seen = []
    for kind, binary in (("real", reference_binary("etcd")), ("ours", ours_binary("etcd"))):
        (tmp_path / kind).mkdir()
        token = f"{case}-{kind}".replace(" ", "")
        put_keys(cluster, token, free)
        arguments = [flag.format(**words).replace("/dir/", f"/{token}/") for flag in flags.split()]
        if "--initial-advertise-peer-urls" not in flags:
            arguments.append(f"--initial-advertise-peer-urls={free}")
        seen.append([line.replace(token, "dir") for line in complaints(binary, name, free, arguments, tmp_path / kind)])

    assert seen[1] == seen[0]
    assert seen[0], "it did start"


def put_keys(cluster: Cluster, token: str, free: str) -> None:
    """Fill token directories for one program: what one registers must not be there for the other."""

    async def put() -> None:
        for key, value in KEYS.items():
            url = f"{cluster.members['m1'].client_url}/v2/keys/{token}/{key}?value={value.format(free=free)}"
            assert (await fetch(url, method="PUT", timeout_seconds=10)).status == 201

    asyncio.run(put())


def complaints(binary: Path, name: str, peer_url: str, flags: list[str], folder: Path) -> list[str]:
    """Start a member that must not come to life; return what its log has above `info`."""
    client_url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(binary),
        f"--name={name}",
        "--data-dir=data",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-cluster-token={TOKEN}",
        *flags,
    ]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )
    assert done.returncode == 1, done.stderr
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    return [json.dumps(without_noise(entry)) for entry in entries if entry["level"] != "info"]


def without_noise(entry: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in entry.items() if name not in ("level", "ts", "caller", "stacktrace")}
    if kept["msg"] in NETWORK:
        del kept["error"]
    elif "error" in kept:
        # Go walks through a map, in any order; and an index of the v2 keys counts all changes.
        members = sorted(re.findall(r"&{ID:.*?}}", kept["error"]))
        text = re.sub(
            r"(Members:\[).*?(\] Removed)", lambda match: match[1] + " ".join(members) + match[2], kept["error"]
        )
        kept["error"] = re.sub(r"\[\d+\]\)$", "[])", text)
    return kept


def test_a_place_in_the_cluster_is_found(cluster: Cluster, tmp_path: Path) -> None:
    """The member is announced first, as an operator does; a real one with the same flags takes the same ids."""
    free = f"http://127.0.0.1:{free_port()}"
    add = [
        str(reference_binary("etcdctl")),
        f"--endpoints={cluster.members['m1'].endpoint}",
        "member",
        "add",
        "m4",
        f"--peer-urls={free}",
        "--learner",
    ]
    subprocess.run(add, env=clean_environment(), check=True, capture_output=True)
    described = {**cluster.urls, "m4": (free,)}
    members = plan_founding(described, "m4", TOKEN).members

    ours = asyncio.run(join(members, "m4", silent_logger()))
    flag = f"{cluster.flag},m4={free}"
    with start_reference_etcd(
        tmp_path,
        name="m4",
        peer_port=int(free.rpartition(":")[2]),
        initial_cluster=flag,
        cluster_token=TOKEN,
        flags=("--initial-cluster-state=existing",),
    ) as real:
        assert ids_of(read_wal(real.data_dir)) == (ours.member_id, ours.cluster_id)
        assert asyncio.run(is_bootstrapped(members, plan_founding(cluster.urls, "m1", TOKEN).member_id))
    assert [member.name for member in ours.remotes if member.client_urls] == [
        member.name for member in ours.members if member.name != "m4"
    ]
    assert next(member for member in ours.remotes if member.id == ours.member_id).is_learner


# -- discovery


def v2_url(cluster: Cluster, token: str) -> str:
    return f"{cluster.members['m1'].client_url}/v2/keys/{token}"


def set_v2_size(cluster: Cluster, token: str, size: int) -> None:
    url = f"{v2_url(cluster, token)}/_config/size?value={size}"
    assert asyncio.run(fetch(url, method="PUT", timeout_seconds=10)).status == 201


def test_ours_and_a_real_member_discover_each_other(cluster: Cluster, tmp_path: Path) -> None:
    set_v2_size(cluster, "together", 2)
    url = v2_url(cluster, "together")
    free = f"http://127.0.0.1:{free_port()}"
    ours = plan_founding({"ours": (free,)}, "ours", url)
    discovery = V2Discovery(url, "", ours.member_id, silent_logger())

    real_url = f"http://127.0.0.1:{free_port()}"
    command = [
        str(reference_binary("etcd")),
        "--name=real",
        f"--data-dir={tmp_path / 'data'}",
        f"--listen-client-urls=http://127.0.0.1:{free_port()}",
        "--advertise-client-urls=http://127.0.0.1:1",
        f"--listen-peer-urls={real_url}",
        f"--initial-advertise-peer-urls={real_url}",
        f"--discovery={url}",
    ]
    with (tmp_path / "log").open("wb") as log:
        real = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
    try:
        values, size = asyncio.run(discovery.join(f"ours={free}"))
        assert (sorted(values), size) == ([f"ours={free}", f"real={real_url}"], 2)
        expected = plan_founding({"ours": (free,), "real": (real_url,)}, "real", url)
        deadline = time.monotonic() + SECONDS_MAX
        while not (tmp_path / "data/member/wal").exists() or len(read_wal(tmp_path / "data").entries) < 2:
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()
            time.sleep(0.01)
        theirs = read_wal(tmp_path / "data")
    finally:
        real.kill()
        real.wait()
    assert ids_of(theirs) == (expected.member_id, expected.cluster_id)
    assert [entry.encode() for entry in theirs.entries[:2]] == [entry.encode() for entry in expected.entries()]


def test_three_of_ours_discover_each_other_in_v3_keys(cluster: Cluster) -> None:
    config = Config(discovery_endpoints=(cluster.members["m1"].endpoint,), discovery_token="v3", discovery="")
    size_key = ["put", "/_etcd/registry/v3/_config/size", "3"]
    ctl = [str(reference_binary("etcdctl")), f"--endpoints={cluster.members['m1'].endpoint}"]
    subprocess.run([*ctl, *size_key], env=clean_environment(), check=True, capture_output=True)

    async def scenario() -> list[tuple[list[str], int]]:
        joining = (discover_v3(config, number, f"m{number}=http://h:{number}", silent_logger()) for number in (1, 2, 3))
        return await asyncio.gather(*joining)

    found = asyncio.run(scenario())
    assert found[0] == found[1] == found[2]
    assert sorted(found[0][0]) == ["m1=http://h:1", "m2=http://h:2", "m3=http://h:3"]


# -- alone


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster that has stopped."""
    with ExitStack() as stack:
        cluster = Cluster(tmp_path_factory.mktemp("stopped"))
        cluster.start(stack)
        ctl = [str(reference_binary("etcdctl")), f"--endpoints={cluster.members['m1'].endpoint}"]
        subprocess.run([*ctl, "put", "a", "1"], env=clean_environment(), check=True, capture_output=True)
    return cluster


def test_what_is_forced_is_what_a_real_member_forces(stopped: Cluster, tmp_path: Path) -> None:
    source = stopped.members["m1"].data_dir
    before = read_wal(source)
    shutil.copytree(source, tmp_path / "real")
    shutil.copytree(source, tmp_path / "ours")

    with start_reference_etcd(tmp_path, name="m1", data_dir=tmp_path / "real", flags=("--force-new-cluster",)):
        theirs = read_wal(tmp_path / "real")
    member = tmp_path / "ours" / "member"
    folders = Folders(member=member, wal=member / "wal")
    identity = Identity(name="m1", initial_advertise_peer_urls=("http://x:1",), initial_cluster_token="")
    ours = recover(folders, identity, is_forced=True)
    ours.wal.close()

    count = len(before.entries)
    assert [entry.encode() for entry in ours.entries] == [entry.encode() for entry in theirs.entries[: count + 2]]
    assert ours.is_alone and ours.hard_state.commit == count + 2
    # And a real one takes it from there, without being forced.
    with start_reference_etcd(tmp_path, name="m1", data_dir=tmp_path / "ours") as real:
        ctl = [str(reference_binary("etcdctl")), f"--endpoints={real.endpoint}"]
        listed = subprocess.run(
            [*ctl, "member", "list"], env=clean_environment(), check=True, capture_output=True, text=True
        )
        assert len(listed.stdout.splitlines()) == 1


# -- with members of ours that live


def ctl(member: RunningEtcd, *arguments: str) -> str:
    command = [str(reference_binary("etcdctl")), f"--endpoints={member.endpoint}", *arguments]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    return done.stdout


def test_ours_joins_a_real_cluster_and_goes_on_alone_when_it_is_forced(tmp_path: Path) -> None:
    ours_port = free_port()
    ours_url = f"http://127.0.0.1:{ours_port}"
    with ExitStack() as stack:
        real = stack.enter_context(start_reference_etcd(tmp_path, name="real"))
        ctl(real, "put", "a", "1")
        ctl(real, "member", "add", "ours", f"--peer-urls={ours_url}")
        ours = stack.enter_context(
            start_reference_etcd(
                tmp_path,
                name="ours",
                peer_port=ours_port,
                initial_cluster=f"real={real.peer_url},ours={ours_url}",
                flags=("--initial-cluster-state=existing",),
                binary=ours_binary("etcd"),
            )
        )
        assert ctl(ours, "get", "a") == "a\n1\n"
        ctl(ours, "put", "b", "2")
        assert ctl(ours, "member", "list") == ctl(real, "member", "list")
        assert f"started, ours, {ours_url}, {ours.client_url}, false" in ctl(real, "member", "list")
        # As a crash: what was acknowledged last is in the log, its commit may not be.
        real.kill()
        ours.kill()

    with start_reference_etcd(
        tmp_path, name="ours", flags=("--force-new-cluster",), binary=ours_binary("etcd")
    ) as forced:
        assert ctl(forced, "get", "", "--prefix") == "a\n1\nb\n2\n"
        ctl(forced, "put", "c", "3")
        assert len(ctl(forced, "member", "list").splitlines()) == 1
    with start_reference_etcd(tmp_path, name="ours", binary=ours_binary("etcd")) as again:
        assert ctl(again, "get", "c") == "c\n3\n"


@pytest.mark.parametrize("kind", ["v2", "v3"])
def test_two_of_ours_discover_each_other_and_are_a_cluster(cluster: Cluster, tmp_path: Path, kind: str) -> None:
    service = cluster.members["m1"]
    if kind == "v2":
        set_v2_size(cluster, "program", 2)
        flags = [f"--discovery={v2_url(cluster, 'program')}"]
    else:
        ctl(service, "put", "/_etcd/registry/program/_config/size", "2")
        flags = ["--discovery-token=program", f"--discovery-endpoints={service.endpoint}"]
    members: list[RunningEtcd] = []
    with ExitStack() as stack:
        for name in ("a", "b"):
            client_url, peer_url = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
            command = [
                str(ours_binary("etcd")),
                f"--name={name}",
                f"--data-dir={tmp_path / name}",
                f"--listen-client-urls={client_url}",
                f"--advertise-client-urls={client_url}",
                f"--listen-peer-urls={peer_url}",
                f"--initial-advertise-peer-urls={peer_url}",
                *flags,
            ]
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment())
            running = RunningEtcd(process, client_url, peer_url, tmp_path / name)
            members.append(stack.enter_context(running))
        for running in members:
            wait_until_healthy(running)
        ctl(members[0], "put", "a", "1")
        assert ctl(members[1], "get", "a") == "a\n1\n"
        assert sorted(line.split(", ")[2] for line in ctl(members[0], "member", "list").splitlines()) == ["a", "b"]
