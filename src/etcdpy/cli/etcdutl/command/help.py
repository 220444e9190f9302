"""etcdutl help [command]."""

from __future__ import annotations

from etcdpy.cli.etcdctl.tree import UnknownCommand, find
from etcdpy.cli.etcdutl.help import usage_text
from etcdpy.cli.etcdutl.session import Session, print_error
from etcdpy.cli.etcdutl.table import ROOT, ROOT_FLAGS


def run(session: Session) -> None:
    try:
        path = find(ROOT, ROOT_FLAGS, session.words).path
    except UnknownCommand:
        shown = " ".join(f"`{word}`" for word in session.words)
        print_error(f"Unknown help topic [{shown}]\n{usage_text([ROOT])}")
        return
    print(usage_text(path), end="")
