"""Replay raft scenario files and compare what is printed, letter for letter.

    python tools/scenarios.py DIR|FILE ...      replay every *.txt below; a difference is shown and fails the run
    python tools/scenarios.py --rewrite FILE    write what is printed into the file (our own; then read the diff)

Three languages, told apart by their commands: interaction (a cluster), confchange (configurations), quorum.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import traceback
from pathlib import Path

# Run as a file, only tools/ itself is on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.scenario import confchange, quorum  # noqa: E402
from tools.scenario.interaction import InteractionRunner  # noqa: E402
from tools.scenario.script import Script, ScriptError, parse, rewrite  # noqa: E402

Runner = InteractionRunner | confchange.ConfChangeRunner | quorum.QuorumRunner


def make_runner(script: Script) -> Runner:
    commands = {directive.command for directive in script.directives}
    if commands & set(quorum.COMMANDS):
        return quorum.QuorumRunner()
    if commands & set(confchange.COMMANDS):
        return confchange.ConfChangeRunner()
    return InteractionRunner()


def replay(script: Script) -> list[str]:
    """Return what each directive prints."""
    runner = make_runner(script)
    outputs: list[str] = []
    for directive in script.directives:
        output = runner.run(directive)
        outputs.append(output if output.endswith("\n") or not output else output + "\n")
    return outputs


def find_differences(script: Script, outputs: list[str]) -> list[str]:
    """Return a text for each directive that printed something else than expected."""
    differences = []
    for directive, output in zip(script.directives, outputs, strict=True):
        if output != directive.expected:
            diff = difflib.unified_diff(
                directive.expected.splitlines(), output.splitlines(), "expected", "printed", lineterm=""
            )
            differences.append(f"line {directive.line}: {directive.command}\n" + "\n".join(diff))
    return differences


def check_file(path: Path) -> tuple[int, str]:
    """Return how many directives `path` has, and what is wrong with it ('' if nothing)."""
    try:
        script = parse(path.read_text(encoding="utf-8"))
        differences = find_differences(script, replay(script))
    except ScriptError as error:
        return 0, f"{error}"
    except Exception:  # a failing assertion or our own bug: the other files are still worth replaying
        return 0, traceback.format_exc()
    return len(script.directives), "\n".join(differences)


def find_files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        files.extend(sorted(path.rglob("*.txt")) if path.is_dir() else [path])
    return files


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Replay raft scenario files.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="DIR|FILE")
    parser.add_argument("--rewrite", action="store_true", help="write what is printed into the files")
    options = parser.parse_args(arguments)
    files = find_files(options.paths)
    if not files:
        print(f"no scenario files below {', '.join(map(str, options.paths))}", file=sys.stderr)
        return 2
    if options.rewrite:
        for file in files:
            script = parse(file.read_text(encoding="utf-8"))
            file.write_text(rewrite(script, replay(script)), encoding="utf-8")
        return 0
    failed = directives = 0
    for file in files:
        count, problem = check_file(file)
        directives += count
        failed += bool(problem)
        print(f"{'FAIL' if problem else 'ok  '} {file}")
        if problem:
            print(problem)
    print(f"{len(files) - failed} of {len(files)} files pass, {directives} directives")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
