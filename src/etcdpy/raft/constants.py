"""The fixed numbers of raft: roles of a node, kinds of message and who may send them, addressees inside the process.

    follower -> pre-candidate -> candidate -> leader
        ^____________|______________|____________|      by a newer term, a leader of our term, or a lost vote

Numbers and names are those of raftpb.MessageType. A *local* kind never crosses the network: it is a tick that came due,
a report of the transport, or the talk with the two storage threads. A *response* kind answers somebody that we asked,
so its sender must be in our configuration.

Upstream: raft/util.go, raftpb/raft.proto.
"""

from __future__ import annotations

from typing import Final

FOLLOWER: Final = 0
CANDIDATE: Final = 1
LEADER: Final = 2
PRE_CANDIDATE: Final = 3

ROLE_NAMES: Final = ("StateFollower", "StateCandidate", "StateLeader", "StatePreCandidate")

MSG_HUP: Final = 0
MSG_BEAT: Final = 1
MSG_PROP: Final = 2
MSG_APP: Final = 3
MSG_APP_RESP: Final = 4
MSG_VOTE: Final = 5
MSG_VOTE_RESP: Final = 6
MSG_SNAP: Final = 7
MSG_HEARTBEAT: Final = 8
MSG_HEARTBEAT_RESP: Final = 9
MSG_UNREACHABLE: Final = 10
MSG_SNAP_STATUS: Final = 11
MSG_CHECK_QUORUM: Final = 12
MSG_TRANSFER_LEADER: Final = 13
MSG_TIMEOUT_NOW: Final = 14
MSG_READ_INDEX: Final = 15
MSG_READ_INDEX_RESP: Final = 16
MSG_PRE_VOTE: Final = 17
MSG_PRE_VOTE_RESP: Final = 18
MSG_STORAGE_APPEND: Final = 19
MSG_STORAGE_APPEND_RESP: Final = 20
MSG_STORAGE_APPLY: Final = 21
MSG_STORAGE_APPLY_RESP: Final = 22
MSG_FORGET_LEADER: Final = 23

MESSAGE_NAMES: Final = (
    "MsgHup",
    "MsgBeat",
    "MsgProp",
    "MsgApp",
    "MsgAppResp",
    "MsgVote",
    "MsgVoteResp",
    "MsgSnap",
    "MsgHeartbeat",
    "MsgHeartbeatResp",
    "MsgUnreachable",
    "MsgSnapStatus",
    "MsgCheckQuorum",
    "MsgTransferLeader",
    "MsgTimeoutNow",
    "MsgReadIndex",
    "MsgReadIndexResp",
    "MsgPreVote",
    "MsgPreVoteResp",
    "MsgStorageAppend",
    "MsgStorageAppendResp",
    "MsgStorageApply",
    "MsgStorageApplyResp",
    "MsgForgetLeader",
)

NO_MEMBER: Final = 0
# The two addressees inside the process. Members' ids never take these values.
LOCAL_APPEND_THREAD: Final = (1 << 64) - 1
LOCAL_APPLY_THREAD: Final = (1 << 64) - 2
LOCAL_THREADS: Final = (LOCAL_APPEND_THREAD, LOCAL_APPLY_THREAD)

LOCAL_MESSAGES: Final = frozenset(
    {
        MSG_HUP,
        MSG_BEAT,
        MSG_UNREACHABLE,
        MSG_SNAP_STATUS,
        MSG_CHECK_QUORUM,
        MSG_STORAGE_APPEND,
        MSG_STORAGE_APPEND_RESP,
        MSG_STORAGE_APPLY,
        MSG_STORAGE_APPLY_RESP,
    }
)

RESPONSE_MESSAGES: Final = frozenset(
    {
        MSG_APP_RESP,
        MSG_VOTE_RESP,
        MSG_HEARTBEAT_RESP,
        MSG_UNREACHABLE,
        MSG_READ_INDEX_RESP,
        MSG_PRE_VOTE_RESP,
        MSG_STORAGE_APPEND_RESP,
        MSG_STORAGE_APPLY_RESP,
    }
)

# These carry the term of the vote that they are about, which is not always the sender's own.
VOTE_MESSAGES: Final = frozenset({MSG_VOTE, MSG_VOTE_RESP, MSG_PRE_VOTE, MSG_PRE_VOTE_RESP})

# Requests that a follower passes on to its leader whatever the term: they are not part of any term's agreement.
TERMLESS_MESSAGES: Final = frozenset({MSG_PROP, MSG_READ_INDEX})

# Promises that hold only once what they promise is on disk: they leave after the append that they depend on.
PROMISE_MESSAGES: Final = frozenset({MSG_APP_RESP, MSG_VOTE_RESP, MSG_PRE_VOTE_RESP})

# What a node answers MSG_VOTE and MSG_PRE_VOTE with.
VOTE_ANSWERS: Final = {MSG_VOTE: MSG_VOTE_RESP, MSG_PRE_VOTE: MSG_PRE_VOTE_RESP}

# Kinds that only a leader of their term sends: seeing one tells who leads.
LEADER_MESSAGES: Final = frozenset({MSG_APP, MSG_HEARTBEAT, MSG_SNAP})

# The context of a vote request whose candidate was told to campaign by the old leader: it breaks the old one's lease.
CAMPAIGN_TRANSFER_CONTEXT: Final = b"CampaignTransfer"
