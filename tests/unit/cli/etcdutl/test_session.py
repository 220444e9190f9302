"""A session of etcdutl: the format is looked at when something is printed."""

from __future__ import annotations

import pytest

from etcdpy.cli.etcdctl.exits import BAD_FEATURE, Exit
from etcdpy.cli.etcdctl.flags import FlagSet
from etcdpy.cli.etcdutl.session import Session, print_error
from etcdpy.cli.etcdutl.table import ROOT, flags_of


def session(*words: str) -> Session:
    return Session(FlagSet(flags_of([ROOT])).parse(words))


def test_formats_are_known_by_name() -> None:
    assert session("a", "-w", "json", "b").words == ["a", "b"]
    assert session("-w", "fields").printer().name == "fields"


def test_an_unknown_format_is_refused_once_it_is_needed() -> None:
    asked = session("-w", "bogus")
    with pytest.raises(Exit) as raised:
        asked.printer()
    assert (raised.value.code, raised.value.text) == (BAD_FEATURE, "unsupported output format")


def test_errors_keep_bytes_that_are_no_text(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_error("path \udcff\n")
    assert capfdbinary.readouterr().err == b"path \xff\n"
