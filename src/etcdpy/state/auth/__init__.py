from etcdpy.state.auth.store import AuthStore

__all__ = ["AuthStore"]
