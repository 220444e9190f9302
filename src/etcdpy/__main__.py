"""`python -m etcdpy` is `etcd`."""

from etcdpy.cli.etcd.main import main

if __name__ == "__main__":
    main()
