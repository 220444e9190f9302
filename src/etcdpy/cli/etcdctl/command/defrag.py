"""etcdctl defrag: give unused space back, one member after the other. One that fails does not stop the rest.

--data-dir first defragments a stopped member's directory; the endpoints follow, as in etcd's 3.5.
"""

from __future__ import annotations

from etcdpy.base.errors import EtcdError
from etcdpy.cli.etcdctl.command.member import chosen_endpoints
from etcdpy.cli.etcdctl.exits import ERROR, Exit
from etcdpy.cli.etcdctl.session import Session


def run(session: Session) -> None:
    data_dir = session.flags.string("data-dir")
    if data_dir:
        from etcdpy.cli.etcdutl.command.defrag import defragment

        session.print_error("Use `etcdutl defrag` instead. The --data-dir is going to be decomissioned in v3.6.\n\n")
        defragment(data_dir)
    failures = 0
    endpoints = chosen_endpoints(session)
    # All endpoints' failures are told as those of the first, whose client etcdctl asks them with.
    session.printer()
    for endpoint in endpoints:
        client = session.new_client([endpoint], named=session.endpoints[0])
        try:
            client.maintenance.defragment()
        except EtcdError as error:
            session.print_error(f"Failed to defragment etcd member[{endpoint}] ({error})\n")
            failures += 1
        else:
            print(f"Finished defragmenting etcd member[{endpoint}]")
        client.close()
    if failures:
        raise Exit(ERROR)
