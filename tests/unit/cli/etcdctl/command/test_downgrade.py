"""etcdctl downgrade: what is asked with which words, and which words are refused before anybody is asked."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.ours import ours_binary
from tests.reference import clean_environment, start_reference_etcd


def ctl(endpoint: str, *words: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [ours_binary("etcdctl"), f"--endpoints={endpoint}", "downgrade", *words],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()[-1] if done.stderr else ""


def test_wrong_words_go_nowhere() -> None:
    nobody = "127.0.0.1:1"
    assert ctl(nobody, "validate") == (128, "", "Error: TARGET_VERSION not provided")
    assert ctl(nobody, "enable", "3.4", "3.3") == (128, "", "Error: too many arguments")
    assert ctl(nobody, "validate", "") == (128, "", "Error: target version not provided")


def test_from_allowing_to_ending(tmp_path: Path) -> None:
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as server:
        assert ctl(server.endpoint, "enable", "3.4") == (0, "Downgrade enable success, cluster version 3.5.0\n", "")
        refused = "Error: etcdserver: cluster has a downgrade job in progress"
        assert ctl(server.endpoint, "validate", "3.4") == (1, "", refused)
        assert ctl(server.endpoint, "cancel") == (0, "Downgrade cancel success, cluster version 3.5.0\n", "")
        assert ctl(server.endpoint, "cancel") == (1, "", "Error: etcdserver: no inflight downgrade job")
        assert ctl(server.endpoint, "validate", "3.4") == (0, "Downgrade validate success, cluster version 3.5.0\n", "")
