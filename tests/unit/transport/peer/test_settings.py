"""Who we say we are, and relations between the times."""

from __future__ import annotations

from etcdpy.transport.peer.settings import Identity, Timeouts


def test_the_headers_are_etcds() -> None:
    own = Identity(member_id=0xAB, cluster_id=0xCD, peer_urls=["http://a:1", "http://b:1"])

    assert dict(own.headers()) == {
        "X-Server-From": "ab",
        "X-Server-Version": "3.5.33",
        "X-Min-Cluster-Version": "3.0.0",
        "X-Etcd-Cluster-Id": "cd",
        "X-Peerurls": "http://a:1,http://b:1",
    }


def test_a_living_link_is_never_given_up() -> None:
    """etcd's numbers: a heartbeat each 5/3 s, a probe each 4 s, for a reader with a patience of 5 s."""
    times = Timeouts()

    assert times.link_heartbeat_seconds * 3 == times.read_seconds == 5.0
    assert times.probe_seconds == times.idle_seconds == 4.0
