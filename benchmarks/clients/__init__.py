"""The load's side: processes of their own over the project's own HTTP/2 binding, lean so as not to be what is measured.

    parent                      child
    start with a job (JSON)  >  connect, build messages, warm up
                             <  ready
    note the server's CPU
    go                       >  the measured part
                             <  result (JSON)

A child that loses its parent reads the end of its stdin and ends.
"""
