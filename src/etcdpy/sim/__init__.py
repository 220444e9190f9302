"""Members driven by virtual time, network and disk: one seed, one run, every time the same (docs/simulator.md)."""
