"""etcdutl snapshot: arguments; the rest is compared with the real one in tests/compat/test_etcdutl_real.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdutl.main import run
from etcdpy.storage.bolt.writer import BoltWriter


@pytest.mark.parametrize("words", [["status"], ["status", "a", "b"], ["restore", "--data-dir=x"], ["save"]])
def test_one_file_is_asked_for(words: list[str]) -> None:
    with pytest.raises(Exit) as raised:
        run(["snapshot", *words])
    assert raised.value.code == BAD_ARGS


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"", "invalid database"), (b"x" * 9000, "invalid database"), (None, "no such file or directory")],
)
def test_what_is_no_snapshot_is_told_apart(content: bytes | None, text: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Exit) as raised:
        run(["snapshot", "status", str(path)])
    assert raised.value.code == ERROR and (raised.value.text or "").endswith(text)


def test_a_snapshot_is_described(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with open(tmp_path / "file", "wb") as file:
        writer = BoltWriter(file)
        writer.add_bucket(b"key", [[((7).to_bytes(8, "big") + b"_" + bytes(8), b"v")]])
        writer.finish()
    assert run(["snapshot", "status", str(tmp_path / "file"), "-w", "json"]) == 0
    assert '"revision":7,"totalKey":1,"totalSize":12288}' in capfd.readouterr().out
