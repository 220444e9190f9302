"""The README's dialogues, typed literally, with the real etcdctl and with ours."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.ours import ours_binary
from tests.reference import REPOSITORY, clean_environment, reference_binary, start_reference_etcd

README = REPOSITORY / "README.md"
DEFAULT_ENDPOINT = "127.0.0.1:2379"
COMMAND_SECONDS = 20
ENDS_WITH_A_DURATION = re.compile(r"took = .*$", re.MULTILINE)


def _blocks(heading: str) -> list[str]:
    """Return what is typed and printed in the README's chapter of that name."""
    chapter = README.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"```console\n(.*?)```", chapter, re.DOTALL)


def _dialogue(block: str) -> list[tuple[str, str]]:
    """Return (command, what it prints), in order."""
    dialogue: list[tuple[str, str]] = []
    for turn in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, output = _split(turn)
        dialogue.append((command, output))
    return dialogue


def _split(turn: str) -> tuple[str, str]:
    """A command may go on over lines, until its quotes are closed, or where a line ends with a backslash."""
    lines = turn.splitlines(keepends=True)
    for count in range(1, len(lines) + 1):
        command = "".join(lines[:count])
        if command.count("'") % 2 == 0 and command.count('"') % 2 == 0 and not command.endswith("\\\n"):
            return command, "".join(lines[count:])
    raise AssertionError(f"a quote is open in the README: {turn}")


@pytest.mark.slow
@pytest.mark.parametrize("etcdctl", [reference_binary("etcdctl"), ours_binary("etcdctl")], ids=["real", "ours"])
def test_the_first_dialogue_works_literally(tmp_path: Path, etcdctl: Path) -> None:
    dialogue = _dialogue(next(block for block in _blocks("Start in 60 seconds") if "etcdctl put" in block))
    assert len(dialogue) >= 10
    with start_reference_etcd(tmp_path, binary=ours_binary("etcd")) as server:
        environment = clean_environment({"ETCDCTL_ENDPOINTS": server.endpoint})
        environment["PATH"] = f"{etcdctl.parent}:{environment['PATH']}"
        script = "".join(f"{command}echo '<end of turn>'\n" for command, _ in dialogue)
        done = subprocess.run(
            ["bash", "-c", script.replace(DEFAULT_ENDPOINT, server.endpoint)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, done.stderr
        answers = done.stdout.replace(server.endpoint, DEFAULT_ENDPOINT).split("<end of turn>\n")

    for (command, expected), answer in zip(dialogue, answers, strict=False):
        assert _blur(answer) == _blur(expected), f"{command}\n{done.stderr}"


def _blur(output: str) -> str:
    """How long it took is the machine's own; a final newline is not what matters (curl prints none)."""
    return ENDS_WITH_A_DURATION.sub("took = ...", output).rstrip("\n")


# A network of its own, so that the README's ports are free, and processes that end with their first.
ALONE = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child", "bash", "-c")
CLUSTER_SECONDS = 150


@pytest.mark.slow
@pytest.mark.parametrize("etcdctl", [reference_binary("etcdctl"), ours_binary("etcdctl")], ids=["real", "ours"])
def test_the_cluster_chapter_works_literally(tmp_path: Path, etcdctl: Path) -> None:
    dialogue = [turn for block in _blocks("A cluster") for turn in _dialogue(block)]
    assert len(dialogue) >= 30
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "etcd").symlink_to(ours_binary("etcd"))
    (programs / "etcdctl").symlink_to(etcdctl)
    environment = clean_environment()
    environment["PATH"] = f"{programs}:{environment['PATH']}"
    script = "ip link set lo up\n" + "".join(f"{command}echo '<end of turn>'\n" for command, _ in dialogue)
    done = subprocess.run(
        [*ALONE, script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=CLUSTER_SECONDS
    )
    answers = done.stdout.split("<end of turn>\n")
    for (command, expected), answer in zip(dialogue, answers, strict=False):
        assert answer.rstrip("\n") == expected.rstrip("\n"), f"{command}\n{done.stderr}"
    assert len(answers) == len(dialogue) + 1, done.stderr
