"""etcdctl member add | remove | update | promote | list."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.exits import BAD_ARGS, ERROR, Exit
from etcdpy.cli.etcdctl.go_text import GoError, parse_uint
from etcdpy.cli.etcdctl.session import Session
from etcdpy.client.client import Client

Answer = TypeVar("Answer")


def run_add(session: Session) -> None:
    if not session.words:
        raise Exit(BAD_ARGS, "member name not provided")
    if len(session.words) > 1:
        raise Exit(BAD_ARGS, "too many arguments")
    urls = _peer_urls(session)
    learner = session.flags.boolean("learner")
    answer = _ask(session, lambda client: client.cluster.member_add(urls, is_learner=learner), urls)
    session.printer().member_add(session.words[0], ",".join(urls), answer)
    session.printer().flush()


def run_remove(session: Session) -> None:
    member_id = _member_id(session)
    answer = _ask(session, lambda client: client.cluster.member_remove(member_id))
    session.printer().member_remove(member_id, answer)
    session.printer().flush()


def run_update(session: Session) -> None:
    member_id = _member_id(session)
    urls = _peer_urls(session)
    answer = _ask(session, lambda client: client.cluster.member_update(member_id, urls), urls)
    session.printer().member_update(member_id, answer)
    session.printer().flush()


def run_promote(session: Session) -> None:
    member_id = _member_id(session)
    answer = _ask(session, lambda client: client.cluster.member_promote(member_id))
    session.printer().member_promote(member_id, answer)
    session.printer().flush()


def run_list(session: Session) -> None:
    answer = _ask(session, lambda client: client.cluster.member_list())
    session.printer().member_list(answer)
    session.printer().flush()


def chosen_endpoints(session: Session) -> list[str]:
    """Return the endpoints given, or with --cluster those of all members."""
    session.settle()
    if not session.flags.boolean("cluster"):
        return session.endpoints
    client = session.client()
    try:
        members = client.cluster.member_list().members
    except EtcdError as error:
        raise Exit(ERROR, f"failed to fetch endpoints from etcd cluster member list: {error}") from None
    return [url for member in members for url in member.clientURLs]


def _ask(session: Session, call: Callable[[Client], Answer], peer_urls: list[str] | None = None) -> Answer:
    """Make one call; peer URLs that cannot be some never leave for the server."""
    client = session.client()
    if peer_urls is not None:
        # Imported late: only these two commands know of URLs.
        from etcdpy.embed.urls import UrlError, check_url

        try:
            for url in peer_urls:
                check_url(url.strip())
        except UrlError as error:
            raise Exit(ERROR, str(error)) from None
    try:
        return call(client)
    except EtcdError as error:
        raise Exit(ERROR, str(error)) from None


def _member_id(session: Session) -> int:
    if len(session.words) != 1:
        raise Exit(BAD_ARGS, "member ID is not provided")
    try:
        return parse_uint(session.words[0], 16)
    except GoError as error:
        raise Exit(BAD_ARGS, f"bad member ID arg ({error}), expecting ID in Hex") from None


def _peer_urls(session: Session) -> list[str]:
    text = session.flags.string("peer-urls")
    if not text:
        raise Exit(BAD_ARGS, "member peer urls not provided")
    return text.split(",")
