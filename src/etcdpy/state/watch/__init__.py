"""Watches: who wants to hear of which keys, and from which revision on. `hub.WatchHub` is the way in."""
