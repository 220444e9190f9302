"""Ours and the real etcd in turn, on this machine, in one run: `make bench`, or `python -m benchmarks --help`.

    __main__ > runner (rounds: A B A B ...) > scenario.measure(workbench, contender) > Sample > report

    requests    h2load, or our own client where keys must differ
    secured     over TLS, and by a user with a token
    cluster     three members, load to the leader
    watches     one put, a thousand watchers
    stores      memory, and the start on a large store
    clients     the load clients, each a process of its own, and the empty server that shows what they can do

How to read the figures, and what they do not show: docs/benchmarks.md.
"""
