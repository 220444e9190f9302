"""Raft scenarios, replayed letter for letter: ours, and those of the raft project when they are there.

The shared files are not part of this repository; ETCDPY_SHARED names their folder (default: ../shared beside it).
Without them a stranger's run leaves that part out; in CI it fails, for there nobody would notice.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from tools import scenarios  # noqa: E402
from tools.scenario.script import parse  # noqa: E402

OWN = sorted(Path(__file__).parent.glob("*.txt"))
SHARED = Path(os.environ.get("ETCDPY_SHARED") or ROOT.parent / "shared") / "reference" / "raft-testdata"
PUBLISHED = sorted(SHARED.rglob("*.txt"))


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_own_scenario(path: Path) -> None:
    count, problem = scenarios.check_file(path)

    assert not problem, problem
    assert count > 0


@pytest.mark.skipif(not PUBLISHED, reason=f"no published raft scenarios at {SHARED} (set ETCDPY_SHARED)")
@pytest.mark.parametrize("path", PUBLISHED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_published_scenario(path: Path) -> None:
    count, problem = scenarios.check_file(path)

    assert not problem, problem
    assert count > 0


@pytest.mark.skipif(not os.environ.get("CI"), reason="only CI must have the published raft scenarios")
def test_ci_has_the_published_scenarios() -> None:
    assert PUBLISHED, f"no published raft scenarios at {SHARED}: set ETCDPY_SHARED"


def test_a_difference_of_one_letter_is_found(tmp_path: Path) -> None:
    text = "add-nodes 1 voters=(1) index=2\n----\n" + "\n".join(
        [
            "INFO 1 switched to configuration voters=(1)",
            "INFO 1 became follower at term 0",
            "INFO newRaft 1 [peers: [1], term: 0, commit: 2, applied: 2, lastindex: 2, lastterm: 1]",
            "",
        ]
    )
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    good.write_text(text)
    bad.write_text(text.replace("follower at", "follower  at"))

    assert scenarios.main([str(good)]) == 0
    assert scenarios.main([str(bad)]) == 1


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    assert scenarios.main([str(tmp_path)]) == 2


def test_rewrite_leaves_a_right_file_as_it_is(tmp_path: Path) -> None:
    copy = tmp_path / "copy.txt"
    copy.write_text(OWN[0].read_text())

    assert scenarios.main(["--rewrite", str(copy)]) == 0

    assert copy.read_text() == OWN[0].read_text()


def test_outputs_with_blank_lines_stand_between_doubled_separators() -> None:
    script = parse("cmd a=(1, 2) b c=3\n----\n----\none\n\ntwo\n----\n----\n\nnext\ninput\n----\nout\n")

    first, second = script.directives

    assert first.expected == "one\n\ntwo\n"
    assert [(argument.key, argument.values) for argument in first.arguments] == [
        ("a", ["1", "2"]),
        ("b", []),
        ("c", ["3"]),
    ]
    assert (second.command, second.input, second.expected) == ("next", "input", "out\n")
