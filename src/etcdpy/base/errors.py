"""The caller's mistakes: every error a client may see, with its gRPC code and etcd's exact text.

Go clients compare errors by text, so a text here is an interface. Codes are those of etcd 3.5.
Other failures are not here: the world's (timeouts, disks) are ordinary exceptions that somebody retries or
reports; our own bugs are `etcdpy.base.invariant.InvariantError`, which nobody catches.

Source: api/v3rpc/rpctypes/error.go.
"""

from __future__ import annotations

from typing import Final

OK: Final = 0
CANCELED: Final = 1
UNKNOWN: Final = 2
INVALID_ARGUMENT: Final = 3
DEADLINE_EXCEEDED: Final = 4
NOT_FOUND: Final = 5
PERMISSION_DENIED: Final = 7
RESOURCE_EXHAUSTED: Final = 8
FAILED_PRECONDITION: Final = 9
ABORTED: Final = 10
OUT_OF_RANGE: Final = 11
UNIMPLEMENTED: Final = 12
INTERNAL: Final = 13
UNAVAILABLE: Final = 14
DATA_LOSS: Final = 15
UNAUTHENTICATED: Final = 16

# Names as Go prints them; the value of the grpc_code label of the metrics.
CODE_NAMES: Final = {
    OK: "OK",
    CANCELED: "Canceled",
    UNKNOWN: "Unknown",
    INVALID_ARGUMENT: "InvalidArgument",
    DEADLINE_EXCEEDED: "DeadlineExceeded",
    NOT_FOUND: "NotFound",
    PERMISSION_DENIED: "PermissionDenied",
    RESOURCE_EXHAUSTED: "ResourceExhausted",
    FAILED_PRECONDITION: "FailedPrecondition",
    ABORTED: "Aborted",
    OUT_OF_RANGE: "OutOfRange",
    UNIMPLEMENTED: "Unimplemented",
    INTERNAL: "Internal",
    UNAVAILABLE: "Unavailable",
    DATA_LOSS: "DataLoss",
    UNAUTHENTICATED: "Unauthenticated",
    6: "AlreadyExists",
}


class EtcdError(Exception):
    """Something a client may see. `code` is the gRPC status, `text` is etcd's own wording."""

    code: int = UNKNOWN
    text: str = "etcdserver: unknown error"

    def __init__(self, text: str | None = None, code: int | None = None) -> None:
        super().__init__(text if text is not None else self.text)
        if text is not None:
            self.text = text
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EtcdError) and (self.code, self.text) == (other.code, other.text)

    def __hash__(self) -> int:
        return hash((self.code, self.text))

    def __reduce__(self) -> tuple[type[EtcdError], tuple[str, int]]:
        return (type(self), (self.text, self.code))


class EmptyKey(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: key is not provided"


class KeyNotFound(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: key not found"


class ValueProvided(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: value is provided"


class LeaseProvided(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: lease is provided"


class TooManyOps(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: too many operations in txn request"


class DuplicateKey(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: duplicate key given in txn request"


class InvalidClientAPIVersion(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: invalid client api version"


class InvalidSortOption(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: invalid sort option"


class Compacted(EtcdError):
    code = OUT_OF_RANGE
    text = "etcdserver: mvcc: required revision has been compacted"


class FutureRev(EtcdError):
    code = OUT_OF_RANGE
    text = "etcdserver: mvcc: required revision is a future revision"


class NoSpace(EtcdError):
    code = RESOURCE_EXHAUSTED
    text = "etcdserver: mvcc: database space exceeded"


class LeaseNotFound(EtcdError):
    code = NOT_FOUND
    text = "etcdserver: requested lease not found"


class LeaseExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: lease already exists"


class LeaseTTLTooLarge(EtcdError):
    code = OUT_OF_RANGE
    text = "etcdserver: too large lease TTL"


class WatchCanceled(EtcdError):
    code = CANCELED
    text = "etcdserver: watch canceled"


class MemberExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: member ID already exist"


class PeerURLExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: Peer URLs already exists"


class MemberNotEnoughStarted(EtcdError):
    # etcd maps this one to a value without a status, so the wire shows Unknown (facts 1.3).
    code = UNKNOWN
    text = "etcdserver: re-configuration failed due to not enough started members"


class MemberBadURLs(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: given member URLs are invalid"


class MemberNotFound(EtcdError):
    code = NOT_FOUND
    text = "etcdserver: member not found"


class MemberNotLearner(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: can only promote a learner member"


class LearnerNotReady(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: can only promote a learner member which is in sync with leader"


class TooManyLearners(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: too many learner members in cluster"


class RequestTooLarge(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: request is too large"


class RequestTooManyRequests(EtcdError):
    # etcd maps this one to a value without a status, so the wire shows Unknown (facts 1.3).
    code = UNKNOWN
    text = "etcdserver: too many requests"


class RootUserNotExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: root user does not exist"


class RootRoleNotExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: root user does not have root role"


class UserAlreadyExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: user name already exists"


class UserEmpty(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: user name is empty"


class UserNotFound(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: user name not found"


class RoleAlreadyExist(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: role name already exists"


class RoleNotFound(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: role name not found"


class RoleEmpty(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: role name is empty"


class AuthFailed(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: authentication failed, invalid user ID or password"


class PermissionNotGiven(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: permission not given"


class PermissionDenied(EtcdError):
    code = PERMISSION_DENIED
    text = "etcdserver: permission denied"


class RoleNotGranted(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: role is not granted to the user"


class PermissionNotGranted(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: permission is not granted to the role"


class AuthNotEnabled(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: authentication is not enabled"


class InvalidAuthToken(EtcdError):
    code = UNAUTHENTICATED
    text = "etcdserver: invalid auth token"


class InvalidAuthMgmt(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: invalid auth management"


class AuthOldRevision(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: revision of auth store is old"


class NoLeader(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: no leader"


class NotLeader(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: not leader"


class LeaderChanged(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: leader changed"


class NotCapable(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: not capable"


class Stopped(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: server stopped"


class Timeout(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: request timed out"


class TimeoutDueToLeaderFail(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: request timed out, possibly due to previous leader failure"


class TimeoutDueToConnectionLost(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: request timed out, possibly due to connection lost"


class TimeoutWaitAppliedIndex(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: request timed out, waiting for the applied index took too long"


class Unhealthy(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: unhealthy cluster"


class Corrupt(EtcdError):
    code = DATA_LOSS
    text = "etcdserver: corrupt cluster"


class BadLeaderTransferee(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: bad leader transferee"


class WrongDowngradeVersionFormat(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: wrong downgrade target version format"


class InvalidDowngradeTargetVersion(EtcdError):
    code = INVALID_ARGUMENT
    text = "etcdserver: invalid downgrade target version"


class ClusterVersionUnavailable(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: cluster version not found during downgrade"


class DowngradeInProcess(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: cluster has a downgrade job in progress"


class NoInflightDowngrade(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: no inflight downgrade job"


class Canceled(EtcdError):
    code = CANCELED
    text = "etcdserver: request canceled"


class DeadlineExceeded(EtcdError):
    code = DEADLINE_EXCEEDED
    text = "etcdserver: context deadline exceeded"


class ClusterIDMismatch(EtcdError):
    code = FAILED_PRECONDITION
    text = "etcdserver: cluster ID mismatch"


class NotSupportedForLearner(EtcdError):
    code = UNAVAILABLE
    text = "etcdserver: rpc not supported for learner"
