"""etcdctl compaction: forget the history before a revision."""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.go_text import GoError, parse_int
from etcdpy.cli.etcdctl.session import Session


def run(session: Session) -> None:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "compaction command needs 1 argument")
    try:
        revision = parse_int(session.words[0])
    except GoError as error:
        raise Exit(ERROR, str(error)) from None
    physical = session.flags.boolean("physical")
    client = session.client()
    try:
        # A physical compaction may take long; the default bound is for commands that cannot.
        client.kv.compact(revision, physical=physical, timeout=None if physical else session.command_seconds)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None
    print(f"compacted revision {revision}")
