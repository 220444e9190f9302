"""/debug/pprof/ of a running member, by real requests: what is there, and that nothing is without the flag."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.ours import ours_binary
from tests.reference import RunningEtcd, clean_environment, free_port, start_reference_etcd, wait_until_healthy
from tests.unit.api.ops.pprof_reader import read_profile

SECONDS_MAX = 60.0


def start(folder: Path, *flags: str) -> RunningEtcd:
    return start_reference_etcd(folder, binary=ours_binary("etcd"), flags=flags)


@pytest.fixture(scope="module")
def member(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningEtcd, int]]:
    port = free_port()
    folder = tmp_path_factory.mktemp("pprof")
    with start(folder, "--enable-pprof", f"--listen-metrics-urls=http://127.0.0.1:{port}") as running:
        yield running, port


def get(url: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urllib.request.urlopen(url, timeout=SECONDS_MAX) as answer:
            return answer.status, {key.lower(): value for key, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {key.lower(): value for key, value in error.headers.items()}, error.read()


def test_the_index_and_what_it_names(member: tuple[RunningEtcd, int]) -> None:
    url = f"{member[0].client_url}/debug/pprof"
    status, headers, body = get(f"{url}/")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    for name in ("cmdline", "goroutine", "heap", "profile"):
        assert f'href="{name}'.encode() in body
    assert get(url)[2] == body, "redirected"


def test_the_command_line(member: tuple[RunningEtcd, int]) -> None:
    arguments = get(f"{member[0].client_url}/debug/pprof/cmdline")[2].split(b"\0")
    assert b"--enable-pprof" in arguments and f"--data-dir={member[0].data_dir}".encode() in arguments


def test_threads_and_tasks(member: tuple[RunningEtcd, int]) -> None:
    url = f"{member[0].client_url}/debug/pprof/goroutine"
    text = get(f"{url}?debug=1")[2].decode()
    assert "thread MainThread\n" in text and "thread etcdpy-backend\n" in text and "task " in text
    status, headers, body = get(url)
    assert status == 200 and headers["content-disposition"] == 'attachment; filename="goroutine"'
    _, samples = read_profile(body)
    assert any("etcdpy-backend" in each.thread and "Worker._run" in each.stack for each in samples)


def test_a_profile_under_load_and_only_one_at_a_time(member: tuple[RunningEtcd, int]) -> None:
    url = f"{member[0].client_url}/debug/pprof/profile"

    def profile() -> tuple[int, dict[str, str], bytes]:
        while (answer := get(f"{url}?seconds=2"))[0] == 500:  # the short one below came first
            continue
        return answer

    with ThreadPoolExecutor() as pool:
        profiling = pool.submit(profile)
        refused = get(f"{url}?seconds=0.01")
        while refused[0] == 200 and not profiling.done():
            refused = get(f"{url}?seconds=0.01")
        while not profiling.done():
            get(f"{member[0].client_url}/metrics")
        status, headers, body = profiling.result()
    assert refused[0] == 500 and b"cpu profiling already in use" in refused[2]
    assert status == 200 and headers["content-disposition"] == 'attachment; filename="profile"'
    _, samples = read_profile(body)
    main = [each for each in samples if each.thread == "MainThread"]
    assert sum(each.values["cpu"] for each in main) > 0
    assert any("metrics" in function for each in main for function in each.stack)


def test_a_profile_that_nobody_waits_for_any_more_is_over(member: tuple[RunningEtcd, int]) -> None:
    url = f"{member[0].client_url}/debug/pprof/profile?seconds"
    host, port = member[0].client_url.removeprefix("http://").rsplit(":", 1)
    give_up = time.monotonic() + SECONDS_MAX
    has_begun = False
    while not has_begun:
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(b"GET /debug/pprof/profile?seconds=3000 HTTP/1.1\r\nHost: x\r\n\r\n")
            has_begun = get(f"{url}=0.01")[0] != 200
        assert time.monotonic() < give_up, "it never begins"
    while get(f"{url}=0.01")[0] != 200:
        assert time.monotonic() < give_up, "it goes on"


def test_what_there_is_not(member: tuple[RunningEtcd, int]) -> None:
    url = f"{member[0].client_url}/debug/pprof"
    for name in ("trace", "block", "mutex", "allocs", "threadcreate", "nope"):
        status, headers, body = get(f"{url}/{name}")
        assert (status, body, headers["content-type"]) == (404, b"Unknown profile\n", "text/plain; charset=utf-8")
    status, _, body = get(f"{url}/heap")
    assert status == 404 and b"PYTHONTRACEMALLOC" in body


def test_neither_peers_nor_metrics_ports_show_it(member: tuple[RunningEtcd, int]) -> None:
    for base in (member[0].peer_url, f"http://127.0.0.1:{member[1]}"):
        assert get(f"{base}/debug/pprof/")[0] == 404


@pytest.mark.parametrize(("flag", "status"), [("--log-level=info", 404), ("--log-level=debug", 200)])
def test_without_the_flag(tmp_path: Path, flag: str, status: int) -> None:
    with start(tmp_path, flag) as running:
        assert get(f"{running.client_url}/debug/pprof/")[0] == status
        assert get(f"{running.client_url}/debug/pprof/cmdline")[0] == status


def test_the_heap_when_tracemalloc_is_on(tmp_path: Path) -> None:
    client, peer = f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
    command = [
        str(ours_binary("etcd")),
        "--enable-pprof",
        f"--data-dir={tmp_path}/d",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=clean_environment({"PYTHONTRACEMALLOC": "3"}))
    with RunningEtcd(process, client, peer, tmp_path / "d") as running:
        wait_until_healthy(running)
        assert get(f"{client}/debug/pprof/heap?debug=1")[2].startswith(b"heap profile: ")
        _, samples = read_profile(get(f"{client}/debug/pprof/heap")[2])
    assert sum(each.values["inuse_space"] for each in samples) > 100_000
