"""Passwords of users who are made or changed: asked for twice, or read from standard input as one word.

Where standard input is no terminal the questions are printed all the same, and lines are taken from it: scripts pipe
both answers in.
"""

from __future__ import annotations

import os
import sys

from etcdpy.cli.etcdctl.exits import BAD_ARGS, Exit


def read_password(name: str, *, interactive: bool) -> bytes:
    """Return the new password of `name`."""
    if not interactive:
        return (sys.stdin.buffer.readline().split() or [b""])[0]
    first = ask(f"Password of {name}: ")
    if not first:
        raise Exit(BAD_ARGS, "empty password")
    if first != ask(f"Type password of {name} again for confirmation: "):
        raise Exit(BAD_ARGS, "given passwords are different")
    return first


def ask(question: str) -> bytes:
    """Ask for one line without showing it."""
    if sys.stdin.isatty():
        from getpass import getpass

        return os.fsencode(getpass(question, stream=sys.stdout))
    sys.stdout.write(question)
    sys.stdout.flush()
    line = sys.stdin.buffer.readline()
    sys.stdout.write("\n")
    sys.stdout.flush()
    return line.rstrip(b"\r\n")
