"""Why a member is not started. Texts are etcd's where etcd has one.

ConfigError               the settings contradict themselves or each other
  AdvertiseUrlsUnset      ... in the one way that etcd reports twice
  NotSupportedYet         they are right, and we cannot do it
StartError                the settings are right, and the machine or the cluster they describe is not
  DiscoveryFailed         ... and it was asked of a discovery service
ShadowedVariable          a flag and its variable are both given
"""

from __future__ import annotations


class ConfigError(Exception):
    """`str()` is what is wrong."""


class AdvertiseUrlsUnset(ConfigError):
    def __init__(self) -> None:
        super().__init__("--advertise-client-urls is required when --listen-client-urls is set explicitly")


class NotSupportedYet(ConfigError):
    pass


class StartError(Exception):
    """`str()` is what is wrong."""


class DiscoveryFailed(StartError):
    """`reason` is what the discovery found; `token` says which one, as the user named it."""

    def __init__(self, reason: str, *, token: str) -> None:
        super().__init__(f"failed to join discovery cluster ({reason})")
        self.reason = reason
        self.token = token


class MemberRemoved(Exception):
    """This member was removed from its cluster: it has ended as it should, and never comes back."""

    def __init__(self) -> None:
        super().__init__("the member has been permanently removed from the cluster")


class ShadowedVariable(Exception):
    """`name` is the variable whose flag was given too."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is shadowed by its command-line flag")
        self.name = name
