# A moment's wait for the next request with the core kept awake.
#
# A client that sends one request after the other has its next one here some 50 us after an answer. A core that goes to
# sleep meanwhile needs as long again until it is up, above all in a virtual machine, and comes back with cold caches: a
# third of the time of such a request. So after an answer we look for the next request for a moment before we sleep.
#
# It costs processor time, so it has to pay: where requests did not come in time we stop, and try again now and then.


# Longer than a client on the same machine or rack thinks, shorter than anybody else who waits would notice.
cdef double LINGER_SECONDS = 100e-6
# A request that comes in time counts one, one that does not counts against two of them.
cdef int LINGER_CREDIT_MAX = 8
# Without credit, one answer of so many is followed by a try.
cdef int LINGER_TRY_EVERY = 64


cdef class Linger:
    """Decides after each flush whether to wait, and waits. `tries` and `hits` are for tests and the curious."""

    def __cinit__(self):
        self.credit = LINGER_CREDIT_MAX
        self.fd = -1

    cdef bint is_worth_it(self):
        if self.credit > 0:
            return True
        self.skipped += 1
        if self.skipped < LINGER_TRY_EVERY:
            return False
        self.skipped = 0
        return True

    def wait(self):
        """Return when the connection that was answered last has sent something, or the moment is over."""
        cdef pollfd waited
        cdef double end
        cdef int ready = 0
        if self.fd < 0:
            return
        waited.fd = self.fd
        waited.events = POLLIN
        waited.revents = 0
        self.fd = -1
        with nogil:
            end = monotonic() + LINGER_SECONDS
            while True:
                ready = poll(&waited, 1, 0)
                if ready != 0 or monotonic() >= end:
                    break
                sched_yield()
        self.tries += 1
        if ready > 0:
            self.hits += 1
            self.credit = min(self.credit + 1, LINGER_CREDIT_MAX)
        else:
            self.credit = max(self.credit - 2, 0)
