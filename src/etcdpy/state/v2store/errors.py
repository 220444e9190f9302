"""The v2 API's errors: their own numbers and texts, given as JSON, not as gRPC status (facts 4.1)."""

from __future__ import annotations

from typing import Final

KEY_NOT_FOUND: Final = 100
TEST_FAILED: Final = 101
NOT_FILE: Final = 102
NOT_DIR: Final = 104
NODE_EXIST: Final = 105
ROOT_READ_ONLY: Final = 107
DIR_NOT_EMPTY: Final = 108
RAFT_INTERNAL: Final = 300

MESSAGES: Final = {
    100: "Key not found",
    101: "Compare failed",
    102: "Not a file",
    103: "Reached the max number of peers in the cluster",
    104: "Not a directory",
    105: "Key already exists",
    106: "The prefix of given key is a keyword in etcd",
    107: "Root is read only",
    108: "Directory not empty",
    109: "Peer address has existed",
    110: "The request requires user authentication",
    200: "Value is Required in POST form",
    201: "PrevValue is Required in POST form",
    202: "The given TTL in POST form is not a number",
    203: "The given index in POST form is not a number",
    204: "Value or TTL is required in POST form",
    205: "The given timeout in POST form is not a number",
    206: "Name is required in POST form",
    207: "Index or value is required",
    208: "Index and value cannot both be specified",
    209: "Invalid field",
    210: "Invalid POST form",
    211: "Value provided on refresh",
    212: "A TTL must be provided on refresh",
    300: "Raft Internal Error",
    301: "During Leader Election",
    400: "watcher is cleared due to etcd recovery",
    401: "The event in requested index is outdated and cleared",
    402: "Standby Internal Error",
    403: "Invalid active size",
    404: "Standby remove delay",
    500: "Client Internal Error",
}


class V2Error(Exception):
    """A v2 request that cannot be done. Deterministic: every member gives the same for the same entry."""

    def __init__(self, code: int, cause: str, index: int) -> None:
        super().__init__(f"{MESSAGES[code]} ({cause}) [{index}]")
        self.code = code
        self.cause = cause
        self.index = index

    @property
    def message(self) -> str:
        return MESSAGES[self.code]
