"""The table of flags, the settings record and the documentation agree."""

from __future__ import annotations

import dataclasses
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from etcdpy.embed.config import Config
from etcdpy.embed.flag_table import BY_NAME, FLAGS, LATER, REFUSED, SECTIONS, WORKS, Flag, setting_flags
from etcdpy.embed.flags import parse_value

REPOSITORY = Path(__file__).resolve().parents[3]


def test_names_are_unique_and_each_flag_has_a_section_of_the_help() -> None:
    assert len(BY_NAME) == len(FLAGS)
    assert {flag.section for flag in FLAGS} == {*SECTIONS, ""}


@pytest.mark.parametrize("flag", setting_flags(), ids=lambda flag: flag.name)
def test_the_default_of_a_flag_is_the_default_of_its_setting(flag: Flag) -> None:
    assert parse_value(flag, flag.default) == getattr(Config(), flag.config_field)


def test_every_setting_has_a_flag() -> None:
    assert {field.name for field in dataclasses.fields(Config)} == {flag.config_field for flag in setting_flags()}


def test_flags_of_one_setting_promise_the_same() -> None:
    promises: dict[str, set[tuple[str, str]]] = {}
    for flag in setting_flags():
        promises.setdefault(flag.config_field, set()).add((flag.support, flag.default))

    assert [field for field, found in promises.items() if len(found) > 1] == []


def test_what_does_not_work_yet_says_why() -> None:
    assert [flag.name for flag in FLAGS if flag.support in (LATER, REFUSED) and not flag.note] == []


def test_a_flag_that_works_is_read_by_something() -> None:
    """A setting that nobody reads would be taken and then silently not done."""
    source = REPOSITORY / "src" / "etcdpy"
    machinery = {source / "embed" / name for name in ("banner.py", "flag_table.py", "assemble.py")}
    texts = [path.read_text() for path in source.rglob("*.py") if path not in machinery]
    read = set(re.findall(r"(?:(?<=config\.)|(?<=self\.))\w+", "\n".join(texts)))

    assert [flag.name for flag in setting_flags() if flag.support == WORKS and flag.config_field not in read] == []


def test_the_documentation_is_fresh() -> None:
    page = (REPOSITORY / "docs" / "flags.md").read_text()

    assert page == _load_generator().page_text()


def _load_generator() -> ModuleType:
    specification = importlib.util.spec_from_file_location(
        "generate_flags_doc", REPOSITORY / "tools" / "generate_flags_doc.py"
    )
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
