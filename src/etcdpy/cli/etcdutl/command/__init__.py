"""The commands of etcdutl, a file each."""
