"""The completion script, asked as bash would ask it."""

from __future__ import annotations

import subprocess

import pytest

from etcdpy.cli.etcdutl.command.completion import bash_script


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        (["etcdutl", "sn"], ["snapshot"]),
        (["etcdutl", "snapshot", ""], ["restore", "status", "--help", "--write-out"]),
        (["etcdutl", "snapshot", "restore", "--initial-c"], ["--initial-cluster", "--initial-cluster-token"]),
        (["etcdutl", "-w", "defrag", "--d"], ["--data-dir"]),
        (["etcdutl", "nothing", ""], []),
    ],
)
def test_what_may_follow_is_offered(typed: list[str], offered: list[str]) -> None:
    words = " ".join(f"'{word}'" for word in typed)
    script = (
        f'{bash_script()}COMP_WORDS=({words}); COMP_CWORD={len(typed) - 1}; _etcdutl_complete; echo "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout.split(), done.stderr) == (offered, "")
