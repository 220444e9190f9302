"""Peer URLs and which of them is tried."""

from __future__ import annotations

import pytest

from etcdpy.transport.peer.urls import BadUrl, PeerUrl, UrlPicker, parse_peer_url


@pytest.mark.parametrize(
    ("text", "url", "authority"),
    [
        ("http://10.0.0.1:2380", PeerUrl("http", "10.0.0.1", 2380), "10.0.0.1:2380"),
        ("https://[::1]:2380", PeerUrl("https", "::1", 2380), "[::1]:2380"),
        ("unix://m1:0", PeerUrl("unix", "m1:0", 0), "m1:0"),
        ("unixs:///run/etcd.sock", PeerUrl("unixs", "/run/etcd.sock", 0), "/run/etcd.sock"),
    ],
)
def test_good_urls(text: str, url: PeerUrl, authority: str) -> None:
    assert parse_peer_url(text) == url
    assert url.authority == authority and str(url) == text
    assert url.is_secure == (url.scheme in ("https", "unixs")) and url.is_unix == url.scheme.startswith("unix")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://a",
        "http://:1",
        "ftp://a:1",
        "http://a:99999",
        "http://[::1",
        "http://a:1\r\nX: y",
        "http://\u00e9:1",
    ],
)
def test_bad_urls(text: str) -> None:
    with pytest.raises(BadUrl):
        parse_peer_url(text)


def test_the_next_url_is_picked_after_a_failure_of_this_one() -> None:
    picker = UrlPicker(["http://a:1", "http://b:1"])
    first = picker.pick()
    picker.unreachable(first)
    second = picker.pick()
    picker.unreachable(first)

    assert (first.host, second.host, picker.pick().host) == ("a", "b", "b")
    picker.unreachable(second)
    assert picker.pick() == first


def test_bad_urls_change_nothing() -> None:
    picker = UrlPicker(["http://a:1"])
    for bad in ([], ["http://b:1", "nonsense"]):
        with pytest.raises(BadUrl):
            picker.update(bad)
    assert picker.pick().host == "a"
    picker.update(["http://b:1"])
    assert picker.pick().host == "b"
