from etcdpy.state.members.change import MembershipChange
from etcdpy.state.members.member import Member
from etcdpy.state.members.roster import Roster

__all__ = ["Member", "MembershipChange", "Roster"]
