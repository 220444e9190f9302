"""Which headers of a request become metadata."""

from __future__ import annotations

import pytest

from etcdpy.api.gateway.origin import HttpOrigin
from etcdpy.base.errors import EtcdError


def test_tokens_and_metadata() -> None:
    headers = [(b"authorization", b"Bearer tok"), (b"grpc-metadata-hasleader", b"true"), (b"accept", b"*/*")]
    origin = HttpOrigin(headers, "10.0.0.1:5")

    assert origin.metadata(b"authorization") == b"tok"
    assert origin.metadata(b"hasleader") == b"true"
    assert origin.metadata(b"accept") is None
    assert origin.peer == "10.0.0.1:5"
    assert origin.timeout_seconds() is None


@pytest.mark.parametrize(("text", "seconds"), [(b"5S", 5.0), (b"300m", 0.3), (b"1H", 3600.0)])
def test_timeouts(text: bytes, seconds: float) -> None:
    assert HttpOrigin([(b"grpc-timeout", text)], "").timeout_seconds() == pytest.approx(seconds)


def test_what_is_no_timeout_is_refused() -> None:
    with pytest.raises(EtcdError, match="invalid grpc-timeout: xx"):
        HttpOrigin([(b"grpc-timeout", b"xx")], "").timeout_seconds()
