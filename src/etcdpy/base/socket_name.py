"""The name by which a socket of the file system is known to TLS."""

from __future__ import annotations


def certificate_name(path: str) -> str:
    """Return the name that the certificate of a server on the socket at `path` must bear: its file's, up to a colon.

    Go takes `localhost:1` apart as if it were an address, and `unix://localhost:1` is how sockets are named there.
    """
    return path.rpartition("/")[2].partition(":")[0]
