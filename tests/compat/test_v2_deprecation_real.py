"""--v2-deprecation: keys of the v2 API that a real member has taken into its snapshot, judged by it and by ours."""

from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.ours import ours_binary
from tests.reference import free_port, start_reference_etcd

KEYS = 12
REFUSAL = "detected disallowed custom content in v2store for stage --v2-deprecation=write-only"
WARNING = "detected custom v2store content"


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    return free_port(), free_port()


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int]) -> Path:
    """The data of a member whose snapshot holds v2 keys."""
    folder = tmp_path_factory.mktemp("used")
    flags = ["--enable-v2", "--snapshot-count=5"]
    with start_reference_etcd(folder, client_port=ports[0], peer_port=ports[1], flags=flags) as member:
        for number in range(KEYS):
            url = f"{member.client_url}/v2/keys/a{number}"
            request = urllib.request.Request(url, data=b"value=x", method="PUT")
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert answer.status == 201
    return member.data_dir


@pytest.mark.parametrize("whose", ["ours", "real"])
def test_v2_keys_are_warned_of_and_refused(used: Path, ports: tuple[int, int], tmp_path: Path, whose: str) -> None:
    binary = ours_binary("etcd") if whose == "ours" else None
    data = Path(shutil.copytree(used, tmp_path / "data"))
    start = {"client_port": ports[0], "peer_port": ports[1], "data_dir": data, "binary": binary}
    with pytest.raises(RuntimeError, match=REFUSAL):
        start_reference_etcd(tmp_path, name="default", flags=["--v2-deprecation=write-only"], **start)  # type: ignore[arg-type]
    with start_reference_etcd(tmp_path, name="default", **start):  # type: ignore[arg-type]
        pass
    log = (tmp_path / "default.log").read_text()
    assert log.count(WARNING) == 1 and log.count('"msg":"illegal v2store content"') == 1


def test_a_member_without_v2_keys_may_be_as_far_as_it_likes(tmp_path: Path) -> None:
    for _ in range(2):
        with start_reference_etcd(
            tmp_path,
            binary=ours_binary("etcd"),
            client_port=free_port(),
            peer_port=free_port(),
            flags=["--v2-deprecation=gone", "--snapshot-count=2"],
        ):
            pass
    assert WARNING not in (tmp_path / "default.log").read_text()
