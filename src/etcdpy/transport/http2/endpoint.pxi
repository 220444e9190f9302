# Methods with their counters, and what all connections of one server or client share.


cdef bytes CLIENT_VERSION_HEADER = b"client-api-version"
cdef int CLIENT_VERSIONS_MAX = 32          # etcd has had seven
cdef int VERSION_BYTES_MAX = 32
cdef bytes OTHER_VERSION = b"other"


cdef class Method:
    """What is counted for every method, and the handler behind it."""

    @property
    def handled(self):
        """Calls ended, by gRPC code (17 stands for numbers gRPC does not know)."""
        return {code: self.codes[code] for code in range(18) if self.codes[code]}

    def __cinit__(self):
        self.client_versions = {}

    def count_ended(self, int code):
        """Count a call that came another way than over a socket, and is over."""
        self.codes[code if 0 <= code < 17 else 17] += 1

    cdef begin(self, Stream call):
        """Count a call that begins."""
        cdef object version = None
        if call.header_list is not None:
            version = call.metadata(CLIENT_VERSION_HEADER)
        self.count_begun(version)
        if self.observe is not None:
            call.begun_at = perf_counter()

    cpdef count_begun(self, version):
        """Count a call. What clients call their version is theirs to choose: only so many are told apart."""
        self.started += 1
        if version in self.client_versions:
            self.client_versions[version] += 1
        elif len(self.client_versions) < CLIENT_VERSIONS_MAX and (version is None or len(version) <= VERSION_BYTES_MAX):
            self.client_versions[version] = 1
        else:
            self.client_versions[OTHER_VERSION] = self.client_versions.get(OTHER_VERSION, 0) + 1


cdef class UnaryMethod(Method):
    """One request message, one answer. `handle(call)` answers now or later with respond() or fail()."""

    def __init__(self, handle):
        self.handler = handle


cdef class StreamMethod(Method):
    """Messages in both directions. `open(call)` returns the StreamHandler."""

    def __init__(self, open):
        self.handler = open
        self.streaming = True


cdef class Endpoint:
    """Limits, methods, deadlines, and the list of connections with something to send.

    `loop` may be None (sans-IO use, blocking sockets): then nobody calls flush() or expire() but the owner.
    """

    def __init__(self, loop, *, bint server, dict methods=None, hooks=None, base_headers=(),
                 size_t message_bytes_max=1572864 + 524288,   # etcd: --max-request-bytes and 512 KiB of overhead
                 int32_t stream_window_bytes=32768,           # x 1000 half-sent uploads: 32 MiB
                 int32_t connection_window_bytes=1 << 20,     # never in the way, see the receive budget
                 size_t reserve_bytes_max=16 << 20,           # at least 8 of the largest messages at once
                 size_t held_bytes_max=30 << 20,              # of the 64 MiB that one attacker may cost
                 size_t pending_bytes_max=32 << 20,
                 size_t queued_bytes_max=16 << 20,            # and the answer on top that exceeds it
                 uint32_t streams_max=16384,                  # open streams and unfinished handlers: about 1 KiB each
                 uint32_t streams_announced=4294967295,       # etcd announces this
                 size_t header_list_bytes_max=65536,          # decoded, 32 bytes a field added, as RFC 9113 counts
                 double ping_interval_min=5.0, bint ping_without_stream=False,
                 double glitch_burst=500.0, double glitch_rate=50.0,
                 size_t high_mark_bytes=65536, size_t low_mark_bytes=16384):
        assert low_mark_bytes < high_mark_bytes
        assert stream_window_bytes >= 1024 and connection_window_bytes >= 65535
        assert held_bytes_max > reserve_bytes_max
        self.loop = loop
        self.hooks = hooks
        self.server = server
        self.methods = {} if methods is None else methods
        self.base_headers = list(base_headers)
        self.message_bytes_max = message_bytes_max
        self.stream_window_bytes = stream_window_bytes
        self.connection_window_bytes = connection_window_bytes
        # One message must always fit, or it would wait for ever.
        self.reserve_bytes_max = max(reserve_bytes_max, message_bytes_max)
        self.held_bytes_max = max(held_bytes_max, self.reserve_bytes_max + 2 * <size_t>connection_window_bytes)
        self.pending_bytes_max = pending_bytes_max
        self.queued_bytes_max = queued_bytes_max
        self.streams_max = min(streams_max, streams_announced)
        self.streams_announced = streams_announced
        self.header_list_bytes_max = header_list_bytes_max
        self.ping_interval_min = ping_interval_min
        self.ping_without_stream = ping_without_stream
        self.glitch_burst = glitch_burst
        self.glitch_rate = glitch_rate
        self.high_mark_bytes = high_mark_bytes
        self.low_mark_bytes = low_mark_bytes
        self.linger = Linger()
        self.live = set()
        self.dirty = []

    def sessions(self):
        """The connections that are open now."""
        return list(self.live)

    cpdef cork(self):
        """Say that flush() follows in this turn for certain: nobody need schedule one meanwhile."""
        self.flush_scheduled = True

    cpdef flush(self):
        """Send what all connections have to send, now instead of at the end of the loop's turn."""
        cdef Session session
        cdef list dirty
        cdef int count = 0
        self.flush_scheduled = False
        while self.dirty:
            dirty = self.dirty
            self.dirty = []
            for session in dirty:
                session.dirty = False
                session.flush()
                count += 1
        if count == 1 and self.server and session.fd >= 0 and self.linger.is_worth_it():
            # What else is to be done in this turn comes first.
            self.linger.fd = session.fd
            self.loop.call_soon(self.linger.wait)

    # ---- deadlines: an unordered list that is looked through every TICK_SECONDS while it is not empty

    cdef void watch_deadline(self, Stream call):
        if call.watched:
            return
        call.watched = True
        call.previous_deadline = NULL
        call.next_deadline = self.first_deadline
        if self.first_deadline != NULL:
            (<Stream>self.first_deadline).previous_deadline = <PyObject *>call
        self.first_deadline = <PyObject *>call
        if not self.tick_armed:
            self.arm_tick()

    cdef void forget_deadline(self, Stream call):
        if not call.watched:
            return
        call.watched = False
        if call.next_deadline != NULL:
            (<Stream>call.next_deadline).previous_deadline = call.previous_deadline
        if call.previous_deadline != NULL:
            (<Stream>call.previous_deadline).next_deadline = call.next_deadline
        else:
            self.first_deadline = call.next_deadline
        call.next_deadline = NULL
        call.previous_deadline = NULL

    cdef void arm_tick(self):
        if self.loop is not None:
            self.tick_armed = True
            self.loop.call_later(TICK_SECONDS, self.tick)

    def tick(self):
        """The timer's callback: ends what is over its deadline."""
        self.tick_armed = False
        self.expire(monotonic())
        if self.first_deadline != NULL:
            self.arm_tick()

    cpdef expire(self, double now):
        """End every call whose deadline is not after `now`; return how many."""
        cdef PyObject *at = self.first_deadline
        cdef Stream call
        cdef list late = []
        while at != NULL:
            call = <Stream>at
            at = call.next_deadline
            if call.deadline_at <= now:
                late.append(call)
        for call in late:
            call.end_late()
        return len(late)

    def sweep(self, double now, *, double preface_seconds, double headers_seconds, double stall_seconds,
              double stall_bytes, double keepalive_seconds, double keepalive_timeout_seconds):
        """Drop connections that broke a deadline, ping those that are silent; return how many were dropped."""
        cdef Session session
        cdef long dropped = 0
        for session in list(self.live):
            session.note_progress(now)
            if not session.settings_received and now - session.made_at > preface_seconds:
                session.abort("no preface and SETTINGS in time")
            elif session.in_headers and now - session.headers_at > headers_seconds:
                session.abort("a header block was not ended in time")
            elif session.queued_bytes > stall_bytes and now - session.last_progress > stall_seconds:
                session.abort("the peer does not read what it asked for")
            elif session.closing_at and now - session.closing_at > headers_seconds:
                session.abort("the peer does not let the connection end")
            elif session.ping_sent_at:
                if session.last_read >= session.ping_sent_at:
                    session.ping_sent_at = 0
                    continue
                if now - session.ping_sent_at <= keepalive_timeout_seconds:
                    continue
                session.abort("no answer to a keepalive ping")
            else:
                if keepalive_seconds and now - session.last_read > keepalive_seconds:
                    session.ping_sent_at = now
                    session.ping()
                continue
            dropped += 1
        return dropped
