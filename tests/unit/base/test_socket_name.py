"""The name that the certificate of a socket bears."""

from __future__ import annotations

import pytest

from etcdpy.base.socket_name import certificate_name


@pytest.mark.parametrize(
    ("path", "name"),
    [("localhost:1", "localhost"), ("/run/etcd.sock", "etcd.sock"), ("run/m1:2380", "m1"), ("a:b:c", "a"), ("", "")],
)
def test_it_is_the_files_name_up_to_a_colon(path: str, name: str) -> None:
    assert certificate_name(path) == name
