"""The commands of etcdctl: `run*(session)` each. They print, or raise Exit."""
