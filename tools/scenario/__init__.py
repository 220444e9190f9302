"""Replaying scenario files: scripts of commands with the output that each must give."""
