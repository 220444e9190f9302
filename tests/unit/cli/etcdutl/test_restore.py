"""What the flags of a restore mean; texts and effects against the real one: tests/compat/test_etcdutl_real.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcdpy.cli.etcdctl.exits import ERROR, Exit
from etcdpy.cli.etcdctl.flags import FlagSet
from etcdpy.cli.etcdutl.restore import PANICKED, Restoration
from etcdpy.cli.etcdutl.restore_flags import RESTORE_FLAGS


def restoration(*words: str, printed: list[str] | None = None) -> Restoration:
    lines = printed if printed is not None else []
    return Restoration(FlagSet(RESTORE_FLAGS).parse(words), lines.append)


def failure_of(*words: str) -> tuple[int, str | None]:
    with pytest.raises(Exit) as raised:
        restoration(*words).run()
    return raised.value.code, raised.value.text


def test_settings_are_checked_before_any_file_is_touched(tmp_path: Path) -> None:
    data_dir = f"--data-dir={tmp_path / 'data'}"
    assert failure_of("nowhere", data_dir, "--name=x") == (
        ERROR,
        'couldn\'t find local name "x" in the initial cluster configuration',
    )
    assert failure_of("nowhere", data_dir, "--initial-cluster=default=y") == (
        ERROR,
        "URL scheme must be http, https, unix, or unixs: y",
    )
    assert list(tmp_path.iterdir()) == []


def test_a_data_directory_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    expected = f'data-dir "{tmp_path}" not empty or could not be read'
    assert failure_of("nowhere", f"--data-dir={tmp_path}") == (ERROR, expected)


def test_a_file_that_is_no_database_has_the_exit_code_of_a_panic(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * 5000)
    code, text = failure_of(str(tmp_path / "file"), f"--data-dir={tmp_path / 'data'}", "--skip-hash-check")
    assert code == PANICKED and text is not None and text.startswith("failed to open database: ")
    assert not (tmp_path / "data").exists()
