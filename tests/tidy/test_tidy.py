"""Style as a test: what a reviewer would otherwise have to say again and again.

Debts that were there when a rule was made stand in ratchet.json. It turns one way: nothing new may come in, nothing in
it may grow, and what is done is taken out (`python -m tests.tidy.survey`).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tidy.survey import (
    FILE_LINES_MAX,
    FUNCTION_LINES_MAX,
    REPOSITORY,
    SOURCE,
    find_long_functions,
    find_untested,
    measure_functions,
    name_of,
    read_ratchet,
    source_files,
    tighten,
)

UPDATE = "run: python -m tests.tidy.survey"
# Said in pieces, so that this file may be looked at, too.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "XX" + "X", "FIX" + "ME"]) + r")\b|\bNotImplemented" + "Error")


def test_no_file_is_longer_than_one_can_keep_in_mind() -> None:
    sizes = {name_of(path): len(path.read_text().splitlines()) for path in source_files()}
    too_long = {name: size for name, size in sizes.items() if size > FILE_LINES_MAX}

    assert not too_long, f"more than {FILE_LINES_MAX} lines: one noun per file, so find the second noun (rule 2)"


def test_no_function_is_longer_than_a_screen() -> None:
    known = read_ratchet().long_functions
    grown = {name: size for name, size in find_long_functions().items() if size > known.get(name, FUNCTION_LINES_MAX)}

    assert not grown, f"more than {FUNCTION_LINES_MAX} lines of code: the parent branches, the leaves compute (rule 3)"


def test_every_source_file_has_its_test_file() -> None:
    missing = set(find_untested()) - set(read_ratchet().untested)

    assert not missing, "src/etcdpy/a/b.py is tested by tests/unit/a/test_b.py (rule 14)"


def test_the_ratchet_holds_no_debt_that_was_paid() -> None:
    assert read_ratchet() == tighten(), UPDATE


def test_imports_go_downwards_only() -> None:
    """The contract stands in pyproject.toml."""
    beside_python = Path(sys.executable).with_name("lint-imports")
    program = str(beside_python) if beside_python.exists() else shutil.which("lint-imports")
    if program is None:
        pytest.skip("lint-imports is not installed: make dev")
    done = subprocess.run([program, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_is_left_for_later() -> None:
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in [*source_files(), *sorted(SOURCE.rglob("*.py[xid]")), *sorted(SOURCE.rglob("*.px[id]"))]
        if not path.name.endswith("_pb2.pyi")
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if UNFINISHED.search(line)
    ]

    assert not found, "an open question is a file in docs/decisions (rule 9)"


def tracked_files() -> list[Path]:
    if not (REPOSITORY / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    paths = [REPOSITORY / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


# Every machine has these: a checkout that lies directly in one says nothing by it.
COMMON_FOLDERS = {"/", "/tmp", "/var/tmp", "/opt", "/srv", "/usr/src", "/mnt"}


def machine_paths() -> re.Pattern[str]:
    """What only the machine at hand has: the folder around the checkout, the home, and homes of others."""
    here = {str(REPOSITORY), str(REPOSITORY.parent), str(Path.home())} - COMMON_FOLDERS
    names = "|".join(sorted(map(re.escape, here), reverse=True))
    return re.compile(rf"(?<![\w./-])(?:(?:{names})/|/(?:home|Users)/\w)")


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    pattern = machine_paths()
    found = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:100]}"
        for path in tracked_files()
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]

    assert not found, "take it from the environment, or from the file's own place"


# -- the rulers themselves


def test_lines_of_code_are_counted_without_docstring_comments_and_blanks() -> None:
    text = '''
class Thing:
    def method(self) -> None:
        """A promise.

        And its reasons.
        """
        # why

        first = 1
        return None

    async def other(self) -> None:
        def inner() -> None:
            pass
'''
    assert dict(measure_functions(text)) == {"Thing.method": 3, "Thing.other": 3, "Thing.other.inner": 2}


def test_paths_of_machines_are_told_from_others() -> None:
    pattern = machine_paths()
    for path in (f"{REPOSITORY}/x", "/ho" + "me/alice/x", f"({Path.home()}/.cache"):
        assert pattern.search(path), path
    for text in ("https://example.org/home/x", "member/wal", "./home/x", "tmp_path / 'home'"):
        assert not pattern.search(text), text


def test_words_of_unfinished_work_are_told_from_others() -> None:
    assert UNFINISHED.search("# TO" + "DO: later") and UNFINISHED.search("raise NotImplemented" + "Error")
    assert not UNFINISHED.search("return NotImplemented") and not UNFINISHED.search("mktemp XX" + "XXXX")
