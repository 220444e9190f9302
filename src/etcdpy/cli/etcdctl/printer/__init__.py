"""Printers: one file per output format of etcdctl."""
