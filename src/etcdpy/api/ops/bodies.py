"""Bodies of requests, up to a limit."""

from __future__ import annotations

from typing import Final

from starlette.requests import ClientDisconnect, Request

# Upstream's limit for what members ask each other; the longest true request has some fifty bytes.
PEER_BODY_BYTES_MAX: Final = 64 * 1024


async def read_body(request: Request, bytes_max: int = PEER_BODY_BYTES_MAX) -> bytes | None:
    """Return the body; None where it is longer than allowed, or its sender went away."""
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > bytes_max:
                return None
    except ClientDisconnect:
        return None
    return body
