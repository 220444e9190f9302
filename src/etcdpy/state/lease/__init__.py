"""Leases: time limits that keys hang on. `lessor.Lessor` is the way in, `expiry.RevokePacer` serves the leader."""
