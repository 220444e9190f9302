"""What the tidy tests look at: the source files, the sizes of their functions, and which of them have a test file.

    python -m tests.tidy.survey     lowers the figures of ratchet.json to the present ones, and drops what is done

The ratchet turns one way: the command never adds a name and never raises a figure.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = REPOSITORY / "src" / "etcdpy"
UNIT_TESTS: Final = REPOSITORY / "tests" / "unit"
RATCHET: Final = Path(__file__).with_name("ratchet.json")

FILE_LINES_MAX: Final = 700
FUNCTION_LINES_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Ratchet:
    """Debts that were there when the rules were made: names and, of functions, their size then."""

    long_functions: dict[str, int]
    untested: list[str]


def read_ratchet() -> Ratchet:
    record = json.loads(RATCHET.read_text())
    return Ratchet(record["long_functions"], record["untested"])


def source_files() -> list[Path]:
    """Return our own Python files; what is generated is not ours to tidy."""
    return sorted(path for path in SOURCE.rglob("*.py") if not path.stem.endswith("_pb2"))


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def mirrored_test_of(path: Path) -> Path:
    relative = path.relative_to(SOURCE)
    return UNIT_TESTS / relative.with_name(f"test_{relative.name}")


def needs_test(path: Path) -> bool:
    """A package's front door and the program's have nothing of their own to test."""
    return path.name not in ("__init__.py", "__main__.py")


def find_untested() -> list[str]:
    return [name_of(path) for path in source_files() if needs_test(path) and not mirrored_test_of(path).exists()]


def measure_functions(text: str) -> Iterator[tuple[str, int]]:
    """Yield the qualified name of every function and its lines of code: no docstring, comments or blank lines."""
    lines = text.splitlines()

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            name = prefix
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{prefix}.{child.name}".lstrip(".")
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield name, _count_code(child, lines)
            yield from walk(child, name)

    yield from walk(ast.parse(text), "")


def _count_code(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> int:
    first, last = function.lineno, function.end_lineno or function.lineno
    skipped: set[int] = set()
    if ast.get_docstring(function, clean=False) is not None:
        docstring = function.body[0]
        skipped.update(range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1))
    code = 0
    for number in range(first, last + 1):
        line = lines[number - 1].strip()
        if line and not line.startswith("#") and number not in skipped:
            code += 1
    return code


def find_long_functions() -> dict[str, int]:
    return {
        f"{name_of(path)}:{name}": size
        for path in source_files()
        for name, size in measure_functions(path.read_text())
        if size > FUNCTION_LINES_MAX
    }


def tighten() -> Ratchet:
    """Return the ratchet turned as far as it goes."""
    known, long_now, untested_now = read_ratchet(), find_long_functions(), set(find_untested())
    return Ratchet(
        {name: min(size, long_now[name]) for name, size in known.long_functions.items() if name in long_now},
        [name for name in known.untested if name in untested_now],
    )


def write_ratchet(ratchet: Ratchet) -> None:
    record = {"long_functions": ratchet.long_functions, "untested": ratchet.untested}
    RATCHET.write_text(json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    write_ratchet(tighten())
