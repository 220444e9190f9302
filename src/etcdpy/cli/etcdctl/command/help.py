"""etcdctl help [command]."""

from __future__ import annotations

from etcdpy.cli.etcdctl.help import usage_text
from etcdpy.cli.etcdctl.session import Session
from etcdpy.cli.etcdctl.table import ROOT, ROOT_FLAGS
from etcdpy.cli.etcdctl.tree import UnknownCommand, find


def run(session: Session) -> None:
    try:
        path = find(ROOT, ROOT_FLAGS, session.words).path
    except UnknownCommand:
        shown = " ".join(f"`{word}`" for word in session.words)
        session.print_error(f"Unknown help topic [{shown}]\n")
        path = [ROOT]
    print(usage_text(path), end="")
