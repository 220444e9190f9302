# One connection: an asyncio protocol whose state machine is nghttp2.
# Longer than 500 lines because Cython wants all methods of a class in one place.


cdef class Session:
    """Server or client side, as its Endpoint says. Also usable without a loop: anything with write() and close() will do."""

    def __init__(self, Endpoint endpoint):
        self.endpoint = endpoint
        self.events = []
        self.postponed = []
        self.peer = ""
        self.fd = -1
        self.certificate_name = False
        self.writable = True
        self.made_at = monotonic()
        self.last_read = self.last_progress = self.glitch_at = self.made_at
        self.glitch_tokens = endpoint.glitch_burst
        self.reset_at = self.made_at
        self.reset_tokens = RESET_BURST
        self.last_ping_at = -IDLE_PING_INTERVAL

    def __dealloc__(self):
        if self.h2 != NULL:
            nghttp2_session_del(self.h2)

    @property
    def alive(self):
        """Connected, and not on its way out."""
        return self.h2 != NULL and not self.closing and not self.doomed

    def peer_common_name(self):
        """The common name of the certificate that the other side showed and we verified, as bytes; None without one."""
        if self.certificate_name is False:
            found = self.transport.get_extra_info("common_name") if self.transport is not None else None
            self.certificate_name = None if found is None else found.encode()
        return self.certificate_name

    # ---- asyncio protocol

    def connection_made(self, transport):
        cdef Endpoint endpoint = self.endpoint
        self.transport = transport
        self.peer = peer_name(transport)
        self.fd = socket_fd(transport)
        if endpoint.server:
            # There the address is a text, mostly an empty one; it is None where the peer has gone already.
            self.is_socket = isinstance(transport.get_extra_info("peername"), (str, bytes))
            nghttp2_session_server_new2(&self.h2, CALLBACKS, <void *>self, SOCKET_OPTION if self.is_socket else SERVER_OPTION)
        else:
            nghttp2_session_client_new2(&self.h2, CALLBACKS, <void *>self, CLIENT_OPTION)
        if self.h2 == NULL:
            raise MemoryError
        self.submit_settings()
        endpoint.live.add(self)
        endpoint.connections += 1
        self.flush()

    def submit_settings(self):
        """The connection's first frame; the server's window grows right behind it."""
        cdef nghttp2_settings_entry entries[3]
        cdef Endpoint endpoint = self.endpoint
        if endpoint.server:
            entries[0].settings_id = SETTINGS_MAX_CONCURRENT_STREAMS
            entries[0].value = endpoint.streams_announced
        else:
            entries[0].settings_id = SETTINGS_ENABLE_PUSH
            entries[0].value = 0
        entries[1].settings_id = SETTINGS_INITIAL_WINDOW_SIZE
        entries[1].value = endpoint.stream_window_bytes
        entries[2].settings_id = SETTINGS_MAX_HEADER_LIST_SIZE
        entries[2].value = endpoint.header_list_bytes_max
        nghttp2_submit_settings(self.h2, 0, entries, 3)
        nghttp2_session_set_local_window_size(self.h2, 0, 0, endpoint.connection_window_bytes)

    def data_received(self, bytes data):
        cdef bint was_dirty
        if self.h2 == NULL or self.doomed or self.closing:
            return
        if self.rest is not None:
            self.rest += data  # somebody resumed reading meanwhile
            return
        self.reads += 1
        # What is answered from here on leaves with the flush below: nobody needs to schedule one.
        was_dirty = self.dirty
        self.dirty = True
        self.parse(data)
        if self.doomed:
            self.drop_uploads()
        if self.in_headers and not self.headers_at:
            self.headers_at = monotonic()
        if self.events:
            self.dispatch()
        self.dirty = was_dirty
        self.flush()
        if not self.writable:
            if self.doomed:
                # The GOAWAY will not get through to somebody who does not read.
                self.abort(self.last_error or "terminated")
            self.maybe_pause_reading()
        if PyBytes_GET_SIZE(data) >= FULL_READ_BYTES and self.endpoint.server and self.endpoint.loop is not None:
            self.end_turn()

    cdef parse(self, bytes data):
        """Give `data` to nghttp2, on a server only as much as may be taken in one turn."""
        cdef ssize_t taken
        cdef Py_ssize_t at = 0, piece, size = PyBytes_GET_SIZE(data)
        cdef bint in_pieces = self.endpoint.server and self.endpoint.loop is not None and size > PARSED_PIECE_BYTES
        cdef double until = monotonic() + self.turn_seconds() if in_pieces else 0
        while at < size and self.h2 != NULL and not self.doomed:
            piece = min(size - at, <Py_ssize_t>PARSED_PIECE_BYTES) if in_pieces else size
            taken = nghttp2_session_mem_recv(self.h2, <uint8_t *>PyBytes_AS_STRING(data) + at, piece)
            if taken < 0:
                self.input_failed(<int>taken)
                return
            at += piece
            if in_pieces and at < size and not self.doomed and monotonic() > until:
                self.rest = data[at:]
                self.end_turn()
                return

    def input_failed(self, int code):
        """nghttp2 can go no further: say why in our own words, since it queued nothing, and hang up."""
        self.last_error = nghttp2_strerror(code).decode()
        if code != ERR_BAD_CLIENT_MAGIC and self.writable:
            self.transport.write(GOAWAY_CALM)
        self.close()

    def eof_received(self):
        return False

    def connection_lost(self, exc):
        cdef Stream call
        cdef nghttp2_session *h2 = self.h2
        if h2 == NULL:
            return
        self.h2 = NULL
        self.fd = -1
        # Deleting a session does not report its open streams as closed: that is done here.
        nghttp2_session_del(h2)
        self.endpoint.live.discard(self)
        self.endpoint.connections -= 1
        while self.first_open != NULL:
            call = <Stream>self.first_open
            call_closed(self, call, CONNECTION_LOST_ERROR)
        self.reserve_queue = None
        self.postponed = []
        self.turn_is_over = False
        self.rest = None
        self.dispatch()
        if self.endpoint.hooks is not None:
            self.endpoint.hooks.lost(self, exc)

    def pause_writing(self):
        self.writable = False

    def resume_writing(self):
        self.writable = True
        self.resume_for(&self.unsent)
        self.flush()

    cdef maybe_pause_reading(self):
        """A peer that does not read, but sends: stop listening to him until he does."""
        if self.open_streams > UNSENT_ANSWERS_MAX or self.queued_bytes > UNSENT_BYTES_MAX:
            self.pause_for(&self.unsent)

    cdef pause_for(self, bint *reason):
        if reason[0] or self.h2 == NULL:
            return
        if not (self.unsent or self.crowded or self.turn_is_over):
            self.transport.pause_reading()
        reason[0] = True

    cdef resume_for(self, bint *reason):
        if not reason[0]:
            return
        reason[0] = False
        if self.h2 != NULL and not (self.unsent or self.crowded or self.turn_is_over):
            self.transport.resume_reading()

    cdef void unary_ended(self):
        self.unary_running -= 1
        if self.crowded and 2 * self.unary_running < UNARY_RUNNING_MAX:
            self.resume_for(&self.crowded)

    cdef take_no_more_than_is_read(self):
        """The backstop behind `put_off`, for answers that cannot be made later: of what was written, say."""
        if self.queued_bytes > UNREAD_BYTES_MAX and not self.closing and self.endpoint.server:
            self.abort("the peer does not read what it asked for")

    # ---- sending

    cdef void mark_dirty(self):
        """There may be something to send: see to it that somebody looks before the turn ends."""
        cdef Endpoint endpoint = self.endpoint
        if self.dirty:
            return
        self.dirty = True
        endpoint.dirty.append(self)
        if not endpoint.flush_scheduled and endpoint.loop is not None:
            endpoint.flush_scheduled = True
            endpoint.loop.call_soon(endpoint.flush)

    cdef void wake_dispatch(self):
        """Events were raised outside of nghttp2: the flush at the end of the turn delivers them."""
        if not self.dispatching:
            self.mark_dirty()

    cpdef flush(self):
        """Give to the transport what nghttp2 has for it, while the transport takes it."""
        cdef char room[WRITE_ROOM]
        cdef const uint8_t *frame
        cdef ssize_t size = 1
        cdef size_t have
        while size > 0 and self.h2 != NULL and self.writable:
            have = 0
            while have < WRITE_BYTES:
                size = nghttp2_session_mem_send(self.h2, &frame)
                if size <= 0:
                    break
                if have + <size_t>size > WRITE_ROOM:
                    break
                memcpy(room + have, frame, size)
                have += size
            if size < 0:
                self.abort(nghttp2_strerror(<int>size).decode())
                return
            large = PyBytes_FromStringAndSize(<char *>frame, size) if have < WRITE_BYTES and size > 0 else None
            if have:
                self.transport.write(PyBytes_FromStringAndSize(room, have))
            if large is not None:
                self.transport.write(large)
        if self.events and not self.dispatching:
            self.dispatch()
        if self.h2 == NULL:
            return
        if self.postponed:
            self.maybe_dispatch_postponed()
        if self.h2 != NULL and not nghttp2_session_want_read(self.h2) and not nghttp2_session_want_write(self.h2):
            self.close()

    def ping(self):
        """Ask for a sign of life."""
        if self.h2 != NULL:
            nghttp2_submit_ping(self.h2, 0, NULL)
            self.mark_dirty()

    def goaway(self, uint32_t error=0, bytes debug=b""):
        """Take no new calls; those already begun may end."""
        if self.h2 != NULL and not self.draining:
            self.draining = True
            nghttp2_submit_goaway(self.h2, 0, nghttp2_session_get_last_proc_stream_id(self.h2), error,
                                  <uint8_t *>PyBytes_AS_STRING(debug), PyBytes_GET_SIZE(debug))
            self.mark_dirty()

    cdef void terminate(self, uint32_t error, bytes debug):
        """End the connection for bad behaviour: GOAWAY, then nothing is read any more."""
        if self.doomed or self.h2 == NULL:
            return
        self.doomed = True
        if debug:
            nghttp2_submit_goaway(self.h2, 0, nghttp2_session_get_last_proc_stream_id(self.h2), error,
                                  <uint8_t *>PyBytes_AS_STRING(debug), PyBytes_GET_SIZE(debug))
        nghttp2_session_terminate_session(self.h2, error)
        self.closing_at = monotonic()
        self.mark_dirty()

    cpdef close(self):
        """Send what is queued, then close the transport."""
        if self.closing:
            return
        self.closing = True
        self.closing_at = monotonic()
        self.drop_uploads()
        if self.transport is not None:
            self.transport.close()

    cdef drop_uploads(self):
        """Nothing more is read: what came of messages is forgotten now, not when the other side lets go."""
        cdef PyObject *at = self.first_open
        if not self.endpoint.server:
            return
        self.reserve_queue = None
        while at != NULL:
            (<Stream>at).drop_upload()
            at = (<Stream>at).next_open

    cpdef abort(self, str reason):
        """Drop the connection now."""
        self.last_error = reason
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def end_calls(self, int code, str text):
        """End every open call with a status (for a server that goes away)."""
        cdef PyObject *at = self.first_open
        cdef Stream call
        cdef list calls = []
        while at != NULL:
            call = <Stream>at
            at = call.next_open
            calls.append(call)
        for call in calls:
            if call.plain:
                call.reset(CANCEL)
            elif not call.answered and not call.closed and call.path is not None:
                call.finish(code, text)
                call.closed = True

    # ---- the peer's behaviour

    cdef void glitch(self, double cost):
        """Something no honest peer does often. The bucket's size and rate are the endpoint's."""
        cdef double now = monotonic()
        cdef Endpoint endpoint = self.endpoint
        endpoint.glitches += 1
        self.glitch_tokens = min(endpoint.glitch_burst, self.glitch_tokens + (now - self.glitch_at) * endpoint.glitch_rate) - cost
        self.glitch_at = now
        if self.glitch_tokens < 0:
            self.last_error = "too many protocol offences"
            self.terminate(ENHANCE_YOUR_CALM, b"")

    cdef void reset_received(self):
        """Rapid reset (CVE-2023-44487): cancelling is legal, but not as a way of life."""
        cdef double now = monotonic()
        self.reset_tokens = min(<double>RESET_BURST, self.reset_tokens + (now - self.reset_at) * RESET_RATE) - 1
        self.reset_at = now
        if self.reset_tokens < 0:
            self.last_error = "too many resets"
            self.terminate(ENHANCE_YOUR_CALM, b"")

    cdef void ping_received(self):
        """grpc-go's policy: pings must keep a distance, a long one while no call is open; answers sent forgive."""
        cdef double now
        cdef double distance
        if not self.endpoint.server or self.endpoint.ping_interval_min <= 0:
            return
        now = monotonic()
        distance = now - self.last_ping_at
        self.last_ping_at = now
        if self.ping_forgiven:
            self.ping_forgiven = False
            self.ping_strikes = 0
            return
        if self.open_streams == 0 and not self.endpoint.ping_without_stream:
            if distance < IDLE_PING_INTERVAL:
                self.ping_strikes += 1
        elif distance < self.endpoint.ping_interval_min:
            self.ping_strikes += 1
        if self.ping_strikes > PING_STRIKES_MAX:
            self.last_error = "too many pings"
            self.terminate(ENHANCE_YOUR_CALM, b"too_many_pings")

    cdef void note_progress(self, double now):
        """What moved since the last sweep: read clocks here, not per frame."""
        if self.reads != self.swept_reads:
            self.swept_reads = self.reads
            self.last_read = now
        if self.data_frames != self.swept_data_frames or self.queued_bytes == 0:
            self.swept_data_frames = self.data_frames
            self.last_progress = now

    # ---- windows

    cdef void consume(self, size_t size):
        """Give received bytes back to the connection window, or keep them back while too much is pending."""
        if self.pending_bytes > self.endpoint.pending_bytes_max:
            self.withheld += size
        else:
            nghttp2_session_consume_connection(self.h2, size)

    cdef void release_withheld(self):
        if self.h2 != NULL and self.pending_bytes <= self.endpoint.pending_bytes_max:
            nghttp2_session_consume_connection(self.h2, self.withheld)
            self.withheld = 0
            self.mark_dirty()

    cdef void grant_waiting(self):
        """Somebody gave his reserve back: the next in the queue may upload."""
        cdef Stream call
        while self.reserve_queue:
            call = <Stream>self.reserve_queue[0]
            if call.waits_for_reserve and not call.gone:
                if self.reserved_bytes + call.partial_need > self.endpoint.reserve_bytes_max:
                    return
                call.grant()
                self.mark_dirty()
            self.reserve_queue.popleft()

    # ---- streams

    cdef Stream new_stream(self, int32_t stream_id):
        cdef Stream stream = Stream.__new__(Stream)
        stream.session = self
        stream.id = stream_id
        return stream

    cdef void link(self, Stream stream):
        """The session's list holds one reference to each open stream."""
        Py_INCREF(stream)
        stream.previous_open = NULL
        stream.next_open = self.first_open
        if self.first_open != NULL:
            (<Stream>self.first_open).previous_open = <PyObject *>stream
        self.first_open = <PyObject *>stream
        self.open_streams += 1

    cdef void unlink(self, Stream stream):
        if stream.next_open != NULL:
            (<Stream>stream.next_open).previous_open = stream.previous_open
        if stream.previous_open != NULL:
            (<Stream>stream.previous_open).next_open = stream.next_open
        else:
            self.first_open = stream.next_open
        if self.current == <PyObject *>stream:
            self.current = NULL
        self.open_streams -= 1
        Py_DECREF(stream)

    cdef Stream find(self, int32_t stream_id):
        cdef void *found
        if self.current != NULL and self.current_id == stream_id:
            return <Stream>self.current
        found = nghttp2_session_get_stream_user_data(self.h2, stream_id)
        if found == NULL:
            return None
        self.current = <PyObject *>found
        self.current_id = stream_id
        return <Stream>found

    # ---- dispatch: from here on Python runs

    cdef dispatch(self):
        cdef Stream call
        cdef uint32_t events
        cdef list batch
        cdef Py_ssize_t done
        cdef double until
        if self.dispatching or self.turn_is_over:
            return
        self.dispatching = True
        until = monotonic() + self.turn_seconds()
        try:
            while self.events:
                batch = self.events
                self.events = []
                done = 0
                for call in batch:
                    events = call.events
                    call.events = 0
                    if events == EVENT_REQUEST:
                        self.start_unary(call)
                    else:
                        self.deliver(call, events)
                    done += 1
                    if monotonic() > until and self.may_go_on_later():
                        self.events = batch[done:] + self.events
                        if self.events:
                            self.end_turn()
                        return
        finally:
            self.dispatching = False

    cdef bint may_go_on_later(self):
        """The calls of a client that is gone are told of it in turns, too: there may be thousands."""
        return self.endpoint.loop is not None and (self.h2 != NULL or self.endpoint.server)

    def dispatch_rest(self):
        """Go on with a connection that is gone, or going."""
        self.dispatch()

    cdef double turn_seconds(self):
        """Who has offended of late has less of everybody's time."""
        if self.glitch_tokens < self.endpoint.glitch_burst - OFFENCES_FORGIVEN:
            return OFFENDER_TURN_SECONDS_MAX
        return TURN_SECONDS_MAX

    cdef end_turn(self):
        """Others have waited long enough: go on when they have had their turn."""
        if self.h2 == NULL or self.closing:
            self.endpoint.loop.call_soon(self.dispatch_rest)
        elif not self.turn_is_over:
            self.pause_for(&self.turn_is_over)
            self.endpoint.loop.call_soon(self.begin_turn)

    def begin_turn(self):
        """Hand out more of what came; read again when all of it was."""
        if not self.turn_is_over:
            return
        self.resume_for(&self.turn_is_over)
        self.flush()
        if self.rest is not None and not self.turn_is_over:
            rest, self.rest = self.rest, None
            self.data_received(rest)

    cdef start_unary(self, Stream call):
        """A whole request is here: hand it to its method, unless its client is gone or has enough to read."""
        if call.closed or call.answered:
            call.settle()
            return
        if self.queued_bytes > self.endpoint.queued_bytes_max:
            if len(self.postponed) < POSTPONED_MAX:
                self.postponed.append(call)
            else:
                call.reset(REFUSED_STREAM)
            return
        if call.compressed:
            call.message = call.inflated(call.message, True)
            if call.message is None:
                return
            call.compressed = False
        call.slot = True
        self.running += 1
        self.unary_running += 1
        if self.unary_running > UNARY_RUNNING_MAX and self.endpoint.loop is not None:
            self.pause_for(&self.crowded)
        if not call.begun:
            call.begun = True
            call.method.begin(call)
        try:
            call.method.handler(call)
        except EtcdError as error:
            call.fail(error.code, error.text)
        except Exception as error:
            self.endpoint.hooks.failed(call, error)

    cdef maybe_dispatch_postponed(self):
        cdef Stream call
        cdef Py_ssize_t looked_at = 0
        cdef int retried = 0
        if self.dispatching or self.turn_is_over or 2 * self.queued_bytes > self.endpoint.queued_bytes_max:
            return
        for call in self.postponed:
            looked_at += 1
            call.raise_event(EVENT_REQUEST)
            # Those that were given up are settled on the way: they bring no answer, after which the next would come.
            if not call.closed and not call.answered:
                retried += 1
                if retried == RETRIED_AT_ONCE_MAX:
                    break
        del self.postponed[:looked_at]
        self.dispatch()
        self.mark_dirty()

    cdef deliver(self, Stream call, uint32_t events):
        """Everything but a plain unary request, in the order in which it must be seen."""
        try:
            if events & EVENT_OPEN:
                self.open_call(call)
            if events & EVENT_MESSAGES:
                self.deliver_messages(call)
            if events & EVENT_REQUEST:
                self.start_unary(call)
            if events & EVENT_REFUSED and not call.closed and not call.answered:
                self.endpoint.hooks.refused(call)
            if events & EVENT_DRAIN and call.handler is not None and not call.closed:
                call.handler.on_drain()
        except EtcdError as error:
            if call.closed or call.answered:
                self.endpoint.hooks.failed(call, error)
            else:
                call.fail(error.code, error.text)
        except Exception as error:
            self.endpoint.hooks.failed(call, error)
        if events & EVENT_CLOSE and call.handler is not None and not call.close_told:
            if call.reading_paused and call.inbox:
                call.close_owed = True
                return
            call.close_told = True
            # From here on the two know each other no more: as a cycle they would wait for a rare collection of garbage.
            handler, call.handler = call.handler, None
            try:
                handler.on_close(call.error)
            except Exception as error:
                self.endpoint.hooks.failed(call, error)
            call.release_slot()

    cdef open_call(self, Stream call):
        if call.closed:
            return
        call.slot = True
        self.running += 1
        if call.method is not None:
            call.method.begin(call)
        try:
            call.handler = self.bridge(call) if call.plain else call.method.handler(call)
        finally:
            if call.handler is None:
                call.release_slot()

    cdef deliver_messages(self, Stream call):
        """Hand over what waits, give its window back piece by piece, and stop when the handler says so."""
        cdef size_t size
        while call.inbox and not call.reading_paused and call.handler is not None:
            message, compressed = call.inbox.pop(0)
            size = PyBytes_GET_SIZE(message) + (0 if call.plain else 5)
            if not call.gone:
                call.unhold(size)
            if wants_more(call):
                message = call.inflated(message, compressed)
                if message is not None:
                    call.handler.on_message(message)
            if self.h2 != NULL and not call.gone:
                nghttp2_session_consume_stream(self.h2, call.id, size)
        if call.end_pending and not call.inbox and not call.reading_paused and call.handler is not None:
            call.end_pending = False
            if wants_more(call):
                call.handler.on_end()
        self.mark_dirty()

    # ---- client

    def request(self, bytes path, metadata, handler, bytes message=None, double deadline=0.0):
        """Start a call. With a message it is a unary one; without, a stream to write to until finish()."""
        cdef nghttp2_nv fields[64]
        cdef nghttp2_data_provider provider
        cdef Stream call
        cdef int count = 1
        cdef int32_t stream_id
        if self.h2 == NULL or self.draining or self.closing:
            raise ConnectionError("the connection takes no new calls")
        set_field(&fields[0], b":path", path)
        for part in (self.endpoint.base_headers, metadata):
            for name, value in part:
                if count == 64:
                    raise ValueError("more than 60 header fields")
                set_field(&fields[count], <bytes?>name, <bytes?>value)
                count += 1
        call = self.new_stream(0)
        call.path = path
        call.handler = handler
        call.started = True
        call.streaming = message is None
        if message is not None:
            call.finishing = True
            call.queue_message(message)
        provider.source.ptr = <void *>call
        provider.read_callback = on_read
        stream_id = nghttp2_submit_request(self.h2, NULL, fields, count, &provider, <void *>call)
        if stream_id < 0:
            raise ConnectionError(nghttp2_strerror(stream_id).decode())
        call.id = stream_id
        self.link(call)
        if deadline:
            call.deadline_at = deadline
            self.endpoint.watch_deadline(call)
        self.mark_dirty()
        return call

    # ---- for tests

    def check_invariants(self):
        """The accounts agree with the streams."""
        cdef PyObject *at = self.first_open
        cdef Stream call
        cdef size_t held = 0, reserved = 0, queued = 0
        cdef long count = 0
        while at != NULL:
            call = <Stream>at
            at = call.next_open
            held += call.held
            reserved += call.reserved
            queued += call.queued_bytes
            count += 1
        for name, mine, theirs in (("held", self.held_bytes, held), ("reserved", self.reserved_bytes, reserved),
                                   ("queued", self.queued_bytes, queued), ("open", self.open_streams, count)):
            if mine != theirs:
                raise InvariantError(f"session counts {mine} {name}, its streams {theirs}")


cdef bint wants_more(Stream call):
    """A server's handler that has answered is told nothing more; a client's takes all that came before the end."""
    if call.session.endpoint.server:
        return not call.closed and not call.answered
    return not call.closed or (call.gone and not call.error)


def peer_name(transport):
    """`ip:port`, `[ip6]:port`, or what a unix socket's client bound to."""
    address = transport.get_extra_info("peername")
    if isinstance(address, tuple):
        if address[0].startswith("::ffff:"):
            # An IPv4 client on a socket that listens for both.
            return f"{address[0][7:]}:{address[1]}"
        return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
    return str(address or "@")


cdef int socket_fd(transport):
    """The descriptor behind a transport, -1 where there is none: it is looked at only, never read."""
    connection = transport.get_extra_info("socket")
    return -1 if connection is None else connection.fileno()
