"""The flags of a restore are the same in both tools, with the defaults of a member's start."""

from __future__ import annotations

from etcdpy.cli.etcdctl.table import ROOT as CTL_ROOT
from etcdpy.cli.etcdutl.restore_flags import RESTORE_FLAGS
from etcdpy.cli.etcdutl.table import ROOT
from etcdpy.embed.config import Config


def test_both_tools_have_them() -> None:
    for root in (ROOT, CTL_ROOT):
        snapshot = root.find_child("snapshot")
        assert snapshot is not None
        command = snapshot.find_child("restore")
        assert command is not None and command.flags is RESTORE_FLAGS


def test_defaults_are_those_of_a_member() -> None:
    defaults = {flag.name: flag.default for flag in RESTORE_FLAGS}
    config = Config()
    assert defaults["name"] == config.name
    assert defaults["initial-cluster"] == config.initial_cluster
    assert defaults["initial-cluster-token"] == config.initial_cluster_token
    assert (defaults["initial-advertise-peer-urls"],) == config.initial_advertise_peer_urls
