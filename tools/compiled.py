"""The modules that mypyc compiles ([tool.etcdpy.compiled] in pyproject.toml), and whether what lies here is up to date.

    python tools/compiled.py digest     print what names the sources, as they are now
    python tools/compiled.py remove     take away what was compiled: the .py files run
    python tools/compiled.py note       remember that what was compiled was made from the sources as they are now

A compiled module hides its .py file. Whoever edits one and forgets to build would run the old code: tests refuse to.
"""

from __future__ import annotations

import hashlib
import sys
import sysconfig
import tomllib
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parent.parent
SUFFIX: Final[str] = sysconfig.get_config_var("EXT_SUFFIX")


class Compiled:
    """What is compiled in one checkout."""

    def __init__(self, root: Path = REPOSITORY) -> None:
        self._root = root
        self._note = root / "build" / "compiled.sha256"

    def groups(self) -> dict[str, list[str]]:
        """Return the sources of each group, relative to the checkout."""
        settings = tomllib.loads((self._root / "pyproject.toml").read_text())
        groups: dict[str, list[str]] = settings["tool"]["etcdpy"]["compiled"]
        return groups

    def digest(self) -> str:
        """Return what changes with any of the sources."""
        total = hashlib.sha256()
        for sources in self.groups().values():
            for source in sources:
                total.update(source.encode() + b"\0" + (self._root / source).read_bytes() + b"\0")
        return total.hexdigest()

    def products(self) -> list[Path]:
        """Return what was compiled: every extension module beside a .py file of its name, and the groups' own."""
        package = self._root / "src" / "etcdpy"
        return [
            path
            for path in package.rglob(f"*{SUFFIX}")
            if path.name.removesuffix(SUFFIX).endswith("__mypyc")
            or path.with_name(path.name.removesuffix(SUFFIX) + ".py").exists()
        ]

    def remove(self) -> None:
        for path in self.products():
            path.unlink()
        self._note.unlink(missing_ok=True)

    def note(self) -> None:
        self._note.parent.mkdir(exist_ok=True)
        self._note.write_text(self.digest() + "\n")

    def is_stale(self) -> bool:
        """Return whether something compiled would run that was made from other sources."""
        if not self.products():
            return False
        return not self._note.exists() or self._note.read_text().strip() != self.digest()


def main(words: list[str]) -> int:
    compiled = Compiled()
    match words:
        case ["digest"]:
            print(compiled.digest())
        case ["remove"]:
            compiled.remove()
        case ["note"]:
            compiled.note()
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
