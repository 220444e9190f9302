"""The table of paths."""

from __future__ import annotations

from etcdpy.api.gateway.paths import all_paths, find_rpc, is_gateway_path


def test_every_method_has_its_path() -> None:
    rpcs = [find_rpc(path) for path in all_paths()]
    services = {rpc.path.split(b"/")[1] for rpc in rpcs if rpc is not None}

    assert len(all_paths()) == 51 and None not in rpcs
    assert services == {
        *(b"etcdserverpb." + name for name in (b"KV", b"Watch", b"Lease", b"Cluster", b"Maintenance", b"Auth")),
        b"v3lockpb.Lock",
        b"v3electionpb.Election",
    }


def test_streams_are_known_as_such() -> None:
    found = {path: rpc for path in all_paths() if (rpc := find_rpc(path)) is not None}

    assert {path for path, rpc in found.items() if rpc.takes_stream} == {"/v3/watch", "/v3/lease/keepalive"}
    assert {path for path, rpc in found.items() if rpc.gives_stream} == {
        "/v3/watch",
        "/v3/lease/keepalive",
        "/v3/maintenance/snapshot",
        "/v3/election/observe",
    }


def test_the_old_prefix_is_another_name_and_older_ones_are_none() -> None:
    assert find_rpc("/v3beta/kv/put") is find_rpc("/v3/kv/put") is not None
    assert find_rpc("/v3alpha/kv/put") is None
    assert is_gateway_path("/v3/x") and is_gateway_path("/v3beta/") and not is_gateway_path("/v3")
