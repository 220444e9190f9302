# One call: its head, the messages coming in, and the accounts it keeps with its session.
# Longer than 500 lines because Cython wants all methods of a class in one place.

import cython


@cython.freelist(512)
cdef class Stream:
    """One HTTP/2 stream: a `Call` for the server's handlers, the handle of a running call for a client."""

    def __dealloc__(self):
        Py_XDECREF(self.partial)
        # A handler that dropped a cancelled call without answering ended all the same.
        if self.session is not None:
            self.release_slot()
            self.settle()

    # ---- what a handler may ask

    @property
    def peer(self):
        return self.session.peer

    @property
    def connection(self):
        """The session: calls of one connection have it in common."""
        return self.session

    @property
    def is_crowded(self):
        """More waits for the client on this connection than may: no further answer should be made for it now."""
        return self.session.queued_bytes > self.session.endpoint.queued_bytes_max

    cpdef bint has_room(self, size_t size):
        """Whether a message of so many bytes may be written. Streams that are not read shall not starve one that is:
        with nothing of its own unsent a call may write little ones up to twice the bound of the connection."""
        cdef size_t most = self.session.endpoint.queued_bytes_max
        if self.session.queued_bytes <= most:
            return True
        return self.queued_bytes == 0 and size <= LITTLE_BYTES and self.session.queued_bytes <= 2 * most

    @property
    def deadline(self):
        return self.deadline_at if self.deadline_at else None

    cpdef metadata(self, bytes name):
        """Return the first value of a header field that has no slot of its own, or None."""
        cdef tuple field
        if self.header_list is not None:
            for field in self.header_list:
                if same_bytes(<bytes>field[0], PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name)):
                    return field[1]
        return None

    def peer_common_name(self):
        """The common name in the client's verified certificate, as bytes; None where there is none."""
        return self.session.peer_common_name()

    def headers(self):
        """All header fields without a slot of their own, in order."""
        return [] if self.header_list is None else list(self.header_list)

    def pause_reading(self):
        """Deliver no more messages; the sender's window closes by itself."""
        self.reading_paused = True

    def resume_reading(self):
        """Deliver what waited, at the end of the turn."""
        if self.reading_paused:
            self.reading_paused = False
            if self.inbox or self.end_pending:
                self.raise_event(EVENT_MESSAGES)
                self.session.wake_dispatch()
            if self.close_owed:
                self.close_owed = False
                self.raise_event(EVENT_CLOSE)
                self.session.wake_dispatch()

    def reset(self, uint32_t error=CANCEL):
        """End the stream with RST_STREAM: how a client cancels."""
        if self.gone or self.session.h2 == NULL:
            return
        self.closed = True
        nghttp2_submit_rst_stream(self.session.h2, 0, self.id, error)
        self.session.mark_dirty()

    # ---- bytes coming in (from the DATA callback)

    cdef int receive_plain(self, const uint8_t *data, size_t size) except -1:
        """A piece of a body: delivered as it comes, the stream's window bounds what waits."""
        if self.ignoring:
            return 0
        if self.inbox is None:
            self.inbox = []
        self.inbox.append((PyBytes_FromStringAndSize(<char *>data, size), False))
        self.held += size
        self.session.held_bytes += size
        if self.session.held_bytes > self.session.endpoint.held_bytes_max:
            self.ignoring = True
            nghttp2_submit_rst_stream(self.session.h2, 0, self.id, REFUSED_STREAM)
            return 0
        self.raise_event(EVENT_MESSAGES)
        return 0

    cdef int receive(self, const uint8_t *data, size_t size) except -1:
        cdef size_t part, had
        if self.plain:
            return self.receive_plain(data, size)
        while size:
            if self.ignoring:
                return 0
            if self.prefix_have < 5:
                had = self.prefix_have
                part = min(size, <size_t>(5 - self.prefix_have))
                memcpy(self.prefix_in + self.prefix_have, data, part)
                self.prefix_have += <int>part
                data += part
                size -= part
                if self.prefix_have < 5:
                    self.held += part
                    self.session.held_bytes += part
                    return 0
                self.unhold(had)
                self.begin_message()
                if self.ignoring:
                    return 0
                if self.prefix_have == 0:
                    continue  # an empty message: it is complete already
                if size == 0:
                    self.ask_reserve()
                    return 0
            part = min(size, self.partial_need - self.partial_have)
            if part == self.partial_need:
                self.complete_message(PyBytes_FromStringAndSize(<char *>data, part))
            else:
                self.fill_message(data, part)
            data += part
            size -= part
        return 0

    cdef int begin_message(self) except -1:
        """The five bytes before a message are here: decide whether it may come."""
        cdef uint8_t *p = self.prefix_in
        cdef size_t length = (<size_t>p[1] << 24) | (<size_t>p[2] << 16) | (<size_t>p[3] << 8) | p[4]
        self.compressed = p[0] == 1
        self.partial_need = length
        self.partial_have = 0
        # grpc-go judges the size before the flag.
        if length > self.session.endpoint.message_bytes_max:
            return self.refuse(C_TOO_LARGE, <uint32_t>length)
        if p[0] > 1:
            return self.refuse(C_BAD_FLAG, p[0])
        if p[0] == 1 and (self.encoding is None or self.encoding == b"identity"):
            return self.refuse(C_NO_ENCODING, 0)
        if length == 0:
            self.complete_message(b"")
        return 0

    cdef int fill_message(self, const uint8_t *data, size_t size) except -1:
        """Add to a message that comes in pieces: the buffer grows to what may have been sent, twice at most when granted."""
        cdef size_t wanted = self.partial_have + size
        cdef size_t room
        if self.partial == NULL:
            room = min(self.partial_need, max(wanted, <size_t>self.session.endpoint.stream_window_bytes))
            self.partial = PyBytes_New(NULL, room)
            self.partial_room = room
            self.ask_reserve()
            if self.ignoring:
                return 0
        if wanted > self.partial_room:
            # A granted message gets its whole room at once (4 MiB at most, then doubling).
            room = max(wanted, 2 * self.partial_room)
            if self.reserved:
                room = max(room, min(self.partial_need, <size_t>(4 << 20)))
            room = min(room, self.partial_need)
            _PyBytes_Resize(&self.partial, room)
            self.partial_room = room
        memcpy(bytes_data(self.partial) + self.partial_have, data, size)
        self.partial_have = wanted
        self.held += size
        self.session.held_bytes += size
        if self.partial_have == self.partial_need:
            whole = <bytes>self.partial
            Py_DECREF(whole)
            self.partial = NULL
            self.unhold(self.partial_have)
            return self.complete_message(whole)
        if self.session.held_bytes > self.session.endpoint.held_bytes_max:
            self.ignoring = True
            self.drop_partial()
            nghttp2_submit_rst_stream(self.session.h2, 0, self.id, REFUSED_STREAM)
        return 0

    cdef int complete_message(self, bytes message) except -1:
        cdef Session session = self.session
        cdef size_t size = PyBytes_GET_SIZE(message)
        self.prefix_have = 0
        self.partial_need = 0
        self.partial_have = 0
        # The window stays as large as it was granted: nghttp2 cannot shrink one without confusing its accounts. What
        # such a stream sends later without a reserve is bounded by held_bytes_max.
        self.release_reserve()
        if self.method is not None:
            self.method.messages_received += 1
            self.method.bytes_received += size
        if self.streaming:
            if self.inbox is None:
                self.inbox = []
            self.inbox.append((message, self.compressed))
            # Taken off again when the handler has had it; the window of the stream comes back with it.
            self.held += size + 5
            session.held_bytes += size + 5
            self.raise_event(EVENT_MESSAGES)
            return 0
        self.message = message
        self.ignoring = True
        if session.endpoint.server:
            self.pending = size
            session.pending_bytes += size
            self.raise_event(EVENT_REQUEST)
        return 0

    cdef int ask_reserve(self) except -1:
        """A message that the window cannot hold needs window of its own: now, or when others are through."""
        cdef Session session = self.session
        cdef Endpoint endpoint = session.endpoint
        if self.reserved or self.waits_for_reserve or 2 * self.partial_need <= <size_t>endpoint.stream_window_bytes:
            return 0
        if not session.reserve_queue and session.reserved_bytes + self.partial_need <= endpoint.reserve_bytes_max:
            self.grant()
            return 0
        self.waits_for_reserve = True
        if session.reserve_queue is None:
            session.reserve_queue = collections.deque()
        session.reserve_queue.append(self)
        return 0

    cdef void grant(self):
        cdef nghttp2_session *h2 = self.session.h2
        cdef int64_t missing, window
        self.waits_for_reserve = False
        self.reserved = self.partial_need
        self.session.reserved_bytes += self.reserved
        # Until the peer acknowledges our SETTINGS the stream counts from HTTP/2's own first window, and shrinks by the
        # difference when he does: the grant must be enough afterwards too.
        missing = self.partial_need + <size_t>self.session.endpoint.stream_window_bytes + <size_t>DEFAULT_WINDOW_BYTES
        # What the peer may still send counts, not the size of the window: nghttp2 gives back what was taken out of a
        # window only when that is half of it. So a window grows to at most twice what the largest message needs.
        missing -= nghttp2_session_get_stream_local_window_size(h2, self.id)
        if missing > 0:
            window = nghttp2_session_get_stream_effective_local_window_size(h2, self.id) + missing
            nghttp2_session_set_local_window_size(h2, 0, self.id, <int32_t>min(window, <int64_t>0x7FFFFFFF))

    cdef void release_reserve(self):
        if not self.reserved:
            return
        self.session.reserved_bytes -= self.reserved
        self.reserved = 0
        if self.session.reserve_queue and self.session.h2 != NULL:
            self.session.grant_waiting()

    cdef void unhold(self, size_t size):
        self.held -= size
        self.session.held_bytes -= size

    cdef void drop_partial(self):
        """Forget what came of a message; the stream's accounts are closed."""
        Py_XDECREF(self.partial)
        self.partial = NULL
        self.waits_for_reserve = False
        self.unhold(self.held)
        self.release_reserve()

    cdef void drop_upload(self):
        """Forget the message that is under way, and that there will be more; whole ones stay."""
        self.ignoring = True
        if self.partial != NULL:
            Py_XDECREF(self.partial)
            self.partial = NULL
            self.unhold(self.partial_have)
            self.partial_have = self.partial_need = 0
            self.waits_for_reserve = False
            self.release_reserve()

    cdef int refuse(self, int reason, uint32_t value) except -1:
        """Take nothing more from this call; `hooks.refused` tells the client why."""
        self.refusal = reason
        self.refused_value = value
        self.ignoring = True
        self.raise_event(EVENT_REFUSED)
        # What no client library sends. Methods that we lack and deadlines that have passed may be asked for in good faith.
        if reason != C_UNKNOWN_METHOD and reason != C_EXPIRED and self.session.endpoint.server:
            self.session.glitch(1)
        return 0

    # ---- accounts

    cdef void raise_event(self, uint32_t event):
        if not self.events:
            self.session.events.append(self)
        self.events |= event

    cdef void release_slot(self):
        """The handler has ended."""
        if self.slot:
            self.slot = False
            self.session.running -= 1
            if not self.streaming:
                self.session.unary_ended()
            if self.gone:
                self.session.zombies -= 1

    cdef void settle(self):
        """The request's bytes are the handler's no more."""
        if self.pending:
            self.session.pending_bytes -= self.pending
            self.pending = 0
            if self.session.withheld:
                self.session.release_withheld()

    cdef void count_end(self, int code):
        if self.method is not None:
            self.method.codes[code if 0 <= code < 17 else 17] += 1
            if self.begun_at and self.method.observe is not None:
                self.method.observe(perf_counter() - self.begun_at)

    cdef object inflated(self, bytes message, bint compressed):
        """Return the plain message, or None when the call has been ended instead."""
        if not compressed:
            return message
        message = self.session.endpoint.hooks.inflate(self, message)
        if message is None and self.session.endpoint.server:
            self.session.glitch(BAD_COMPRESSION_COST)
        return message

    cdef object deflated(self, object message):
        """Answers are compressed when, and as, the request was (grpc-go does so)."""
        if self.encoding is None or not self.session.endpoint.server or self.encoding == b"identity":
            return message
        return self.session.endpoint.hooks.deflate(message)

    def end_late(self):
        """The deadline has passed: tell the other side, and take no more answers."""
        if self.closed:
            return
        self.session.endpoint.forget_deadline(self)
        if self.session.endpoint.server:
            # 3.5.1: a unary handler's deadline error is translated, a stream's reaches the client raw, as Unknown.
            self.fail(2 if self.streaming else 4, "context deadline exceeded")
            self.expired = True
            self.closed = True
        else:
            self.expired = True
            self.reset(CANCEL)

    # ---- bytes going out

    cpdef respond(self, object message):
        """Answer a unary call: headers, one framed message (bytes, or a list of bytes), status OK."""
        if self.closed:
            self.release_slot()
            self.settle()
            return
        if self.answered:
            raise InvariantError(f"call {self.path!r} is answered twice")
        if self.encoding is not None:
            message = self.deflated(message)
        self.answered = True
        self.finishing = True
        if self.watched:
            self.session.endpoint.forget_deadline(self)
        self.session.take_no_more_than_is_read()
        self.queue_message(message)
        self.count_end(0)
        if not self.started:
            self.submit_head()
        else:
            self.wake()
        self.release_slot()
        self.settle()
        self.session.mark_dirty()

    def put_off(self):
        """Call the handler anew when the client has read more, if he has too much unread now; return whether."""
        cdef Session session = self.session
        if self.closed or self.answered or self.streaming or session.queued_bytes <= session.endpoint.queued_bytes_max:
            return False
        self.release_slot()
        session.postponed.append(self)
        return True

    cpdef fail(self, int code, str text):
        """End the call with a status that is not OK."""
        self.finish(code, text)

    cpdef start(self):
        """Send the response headers of a streaming call now."""
        if self.started or self.closed or self.answered:
            return
        self.submit_head()
        self.session.mark_dirty()

    def start_plain(self, bytes status, fields):
        """Answer a request that is no gRPC: its status and header fields; `write` and `finish` follow."""
        cdef nghttp2_nv sent[64]
        cdef nghttp2_data_provider provider
        cdef int count = 1
        if self.started or self.closed or not self.plain:
            return
        set_field(&sent[0], b":status", status)
        for name, value in fields:
            if count == 64:
                break
            set_field(&sent[count], <bytes?>name, <bytes?>value)
            count += 1
        self.started = True
        provider.source.ptr = <void *>self
        provider.read_callback = on_read
        check_submit(nghttp2_submit_response(self.session.h2, self.id, sent, count, &provider))
        self.session.mark_dirty()

    cpdef bint write(self, object message) except -1:
        """Queue one message (bytes, or a list of bytes); False: the queue is above the high mark, wait for on_drain (or the call is over)."""
        if self.closed or self.answered or self.finishing:
            return False
        if not self.started:
            self.submit_head()
        self.queue_message(message if self.encoding is None else self.deflated(message))
        self.wake()
        self.session.mark_dirty()
        if self.queued_bytes > self.session.endpoint.high_mark_bytes:
            self.above_mark = True
            return False
        return True

    cpdef finish(self, int code=0, str text=""):
        """Server: end with a status after what is queued. Client: no more messages will follow."""
        if not self.session.endpoint.server:
            if not self.finishing and not self.closed:
                self.finishing = True
                self.wake()
                self.session.mark_dirty()
            return
        if not self.closed:
            if self.answered:
                raise InvariantError(f"call {self.path!r} is ended twice, now with code {code}")
            self.answered = True
            self.finishing = True
            self.ignoring = True
            self.session.endpoint.forget_deadline(self)
            self.trailer_status = b"%d" % code
            self.trailer_message = percent_encode(text) if text else b""
            self.count_end(code)
            if self.started:
                self.wake()
            else:
                self.trailers_only()
            self.session.mark_dirty()
        if not self.streaming:
            self.release_slot()
        self.settle()

    cdef int queue_message(self, object message) except -1:
        cdef size_t size = 0 if self.plain else 5
        if type(message) is bytes:
            size += PyBytes_GET_SIZE(message)
        else:
            for part in <list?>message:
                size += PyBytes_GET_SIZE(<bytes?>part)
        if size > <size_t>0xFFFFFFFF + 5:
            raise InvariantError(f"a message of {size} bytes cannot be framed")
        if self.method is not None:
            self.method.messages_sent += 1
            self.method.bytes_sent += size - 5
        self.queued_bytes += size
        self.session.queued_bytes += size
        if self.chunk is None and self.prefix_left == 0 and not self.outbox:
            return self.load_message(message)
        if self.outbox is None:
            self.outbox = collections.deque()
        self.outbox.append(message)
        return 0

    cdef int load_message(self, object message) except -1:
        """Make `message` the one being copied out."""
        cdef size_t size = 0
        cdef uint8_t *p = self.prefix_out
        if type(message) is bytes:
            size = PyBytes_GET_SIZE(message)
            self.chunk = <bytes>message if size else None
        else:
            self.chunks = <list>message
            self.chunk_next = 0
            for part in self.chunks:
                size += PyBytes_GET_SIZE(part)
            self.next_chunk()
        self.chunk_off = 0
        p[0] = 1 if self.encoding is not None and self.session.endpoint.server and self.encoding != b"identity" else 0
        p[1] = (size >> 24) & 255
        p[2] = (size >> 16) & 255
        p[3] = (size >> 8) & 255
        p[4] = size & 255
        self.prefix_left = 0 if self.plain else 5
        return 0

    cdef void next_chunk(self):
        """Go to the next non-empty piece of the message; `chunk` is None after the last."""
        self.chunk = None
        self.chunk_off = 0
        while self.chunks is not None:
            if self.chunk_next == len(self.chunks):
                self.chunks = None
                return
            self.chunk = <bytes>self.chunks[self.chunk_next]
            self.chunk_next += 1
            if PyBytes_GET_SIZE(self.chunk):
                return
            self.chunk = None

    cdef size_t take_out(self, uint8_t *buffer, size_t room):
        """Copy what waits into the frame that nghttp2 is building."""
        cdef size_t done = 0
        cdef size_t part
        while done < room:
            if self.prefix_left:
                part = min(room - done, <size_t>self.prefix_left)
                memcpy(buffer + done, self.prefix_out + 5 - self.prefix_left, part)
                self.prefix_left -= <int>part
                done += part
            elif self.chunk is not None:
                part = min(room - done, PyBytes_GET_SIZE(self.chunk) - self.chunk_off)
                memcpy(buffer + done, PyBytes_AS_STRING(self.chunk) + self.chunk_off, part)
                self.chunk_off += part
                done += part
                if self.chunk_off == <size_t>PyBytes_GET_SIZE(self.chunk):
                    self.next_chunk()
            elif self.outbox:
                self.load_message(self.outbox.popleft())
            else:
                break
        self.queued_bytes -= done
        self.session.queued_bytes -= done
        return done

    cdef bint has_output(self):
        return self.prefix_left != 0 or self.chunk is not None or bool(self.outbox)

    cdef void wake(self):
        """nghttp2 gave up asking for data: there is some now."""
        if self.deferred and self.session.h2 != NULL and not self.gone:
            self.deferred = False
            nghttp2_session_resume_data(self.session.h2, self.id)

    cdef int fill_head(self, nghttp2_nv *fields) except -1:
        fields[0] = FIELD_STATUS_200
        if self.content_type is None:
            fields[1] = FIELD_CONTENT_TYPE
        else:
            set_field(&fields[1], b"content-type", self.content_type)
        return 2

    cdef int submit_head(self) except -1:
        cdef nghttp2_nv fields[3]
        cdef nghttp2_data_provider provider
        cdef int count = self.fill_head(fields)
        if self.encoding is not None and self.encoding != b"identity":
            set_field(&fields[count], b"grpc-encoding", self.encoding)
            count += 1
        self.started = True
        provider.source.ptr = <void *>self
        provider.read_callback = on_read
        return check_submit(nghttp2_submit_response(self.session.h2, self.id, fields, count, &provider))

    cdef int trailers_only(self) except -1:
        cdef nghttp2_nv fields[4]
        cdef int count = self.fill_head(fields)
        set_field(&fields[count], b"grpc-status", self.trailer_status)
        set_field(&fields[count + 1], b"grpc-message", self.trailer_message)
        self.started = True
        return check_submit(nghttp2_submit_response(self.session.h2, self.id, fields, count + 2, NULL))

    cdef int submit_trailers(self) except -1:
        cdef nghttp2_nv fields[2]
        if self.trailer_status is None:
            return check_submit(nghttp2_submit_trailer(self.session.h2, self.id, FIELDS_OK, 2))
        set_field(&fields[0], b"grpc-status", self.trailer_status)
        set_field(&fields[1], b"grpc-message", self.trailer_message)
        return check_submit(nghttp2_submit_trailer(self.session.h2, self.id, fields, 2))


# ---- header fields. Those of every answer are constants whose bytes live as long as the module: nghttp2 need not copy them.

cdef nghttp2_nv FIELD_STATUS_200
cdef nghttp2_nv FIELD_CONTENT_TYPE
cdef nghttp2_nv FIELDS_OK[2]


cdef void set_field(nghttp2_nv *field, bytes name, bytes value) noexcept:
    """nghttp2 copies both before the submitting function returns."""
    field.name = <uint8_t *>PyBytes_AS_STRING(name)
    field.namelen = PyBytes_GET_SIZE(name)
    field.value = <uint8_t *>PyBytes_AS_STRING(value)
    field.valuelen = PyBytes_GET_SIZE(value)
    field.flags = 0


cdef list CONSTANTS = [b":status", b"200", b"content-type", b"application/grpc", b"grpc-status", b"0", b"grpc-message", b""]
set_field(&FIELD_STATUS_200, CONSTANTS[0], CONSTANTS[1])
set_field(&FIELD_CONTENT_TYPE, CONSTANTS[2], CONSTANTS[3])
set_field(&FIELDS_OK[0], CONSTANTS[4], CONSTANTS[5])
set_field(&FIELDS_OK[1], CONSTANTS[6], CONSTANTS[7])
FIELD_STATUS_200.flags = NV_NO_COPY
FIELD_CONTENT_TYPE.flags = NV_NO_COPY
FIELDS_OK[0].flags = NV_NO_COPY
FIELDS_OK[1].flags = NV_NO_COPY


cdef int check_submit(int result) except -1:
    """A stream that closed a moment ago is no error; running out of memory is."""
    if result == -901:
        raise MemoryError
    return 0
