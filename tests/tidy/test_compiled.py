"""tools/compiled.py: a compiled module that its source has left behind does not go unnoticed."""

from __future__ import annotations

from pathlib import Path

from tools.compiled import REPOSITORY, SUFFIX, Compiled


def checkout(root: Path) -> Path:
    """Make a checkout with one source to compile and one extension that is none of ours to remove."""
    package = root / "src" / "etcdpy"
    package.mkdir(parents=True)
    (root / "pyproject.toml").write_text('[tool.etcdpy.compiled]\nlog = ["src/etcdpy/hot.py"]\n')
    (package / "hot.py").write_text("ANSWER = 42\n")
    (package / f"binding{SUFFIX}").touch()
    return package


def test_every_source_named_is_there() -> None:
    for group, sources in Compiled().groups().items():
        assert sources == sorted(set(sources)), group
        for source in sources:
            assert (REPOSITORY / source).is_file(), source


def test_what_was_compiled_from_other_sources_is_stale(tmp_path: Path) -> None:
    package = checkout(tmp_path)
    compiled = Compiled(tmp_path)
    assert not compiled.is_stale(), "nothing is compiled"

    (package / f"hot{SUFFIX}").touch()
    assert compiled.is_stale(), "nobody knows from what"

    compiled.note()
    assert not compiled.is_stale()

    (package / "hot.py").write_text("ANSWER = 43\n")
    assert compiled.is_stale()


def test_removing_leaves_the_sources_and_other_extensions(tmp_path: Path) -> None:
    package = checkout(tmp_path)
    for name in ("hot", "log__mypyc"):
        (package / f"{name}{SUFFIX}").touch()

    Compiled(tmp_path).remove()

    assert sorted(path.name for path in package.iterdir()) == [f"binding{SUFFIX}", "hot.py"]
