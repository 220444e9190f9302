# What nghttp2 calls while it reads or writes. Nothing here runs a handler; everything here may be provoked by a hostile peer.

cdef uint32_t CONNECTION_LOST_ERROR = 0xFF
CONNECTION_LOST = CONNECTION_LOST_ERROR
# GOAWAY(last stream 2^31 - 1, ENHANCE_YOUR_CALM), for when nghttp2 cannot say it any more.
cdef bytes GOAWAY_CALM = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x0b"
# Stream.fields_seen, on sockets.
cdef enum:
    FIELD_UNKNOWN = 0
    FIELD_METHOD = 1
    FIELD_PATH = 2
    FIELD_SCHEME = 4
    FIELD_AUTHORITY = 8
    FIELD_REGULAR = 16
cdef int ERR_BAD_CLIENT_MAGIC = -903
cdef nghttp2_session_callbacks *CALLBACKS
cdef nghttp2_option *SERVER_OPTION
cdef nghttp2_option *CLIENT_OPTION
# Go's clients put a socket's path into :authority, which nghttp2 takes for an attack. It can only check all of a request or
# nothing, so on sockets we check fields ourselves.
cdef nghttp2_option *SOCKET_OPTION


cdef int on_begin_frame(nghttp2_session *h2, const nghttp2_frame_hd *header, void *me) noexcept:
    """Frames of types that nobody knows are to be ignored, but not for nothing."""
    if header.type > CONTINUATION:
        (<Session>me).glitch(1)
    return 0


cdef int on_unpack_extension(nghttp2_session *h2, void **payload, const nghttp2_frame_hd *header, void *me) noexcept:
    return ERR_CANCEL


cdef int on_begin_headers(nghttp2_session *h2, const nghttp2_frame *frame, void *me) noexcept:
    cdef Session session = <Session>me
    cdef Stream call
    session.in_headers = True
    session.headers_at = 0
    if not session.endpoint.server or <int>frame.headers.cat != HCAT_REQUEST:
        return 0
    if session.open_streams + session.zombies >= <long>session.endpoint.streams_max:
        nghttp2_submit_rst_stream(h2, 0, frame.hd.stream_id, REFUSED_STREAM)
        return 0
    call = session.new_stream(frame.hd.stream_id)
    session.link(call)
    nghttp2_session_set_stream_user_data(h2, call.id, <void *>call)
    return 0


cdef int on_header(nghttp2_session *h2, const nghttp2_frame *frame, const uint8_t *name, size_t name_size,
                   const uint8_t *value, size_t value_size, uint8_t flags, void *me) noexcept:
    cdef Session session = <Session>me
    cdef Stream call = session.find(frame.hd.stream_id)
    if call is None:
        return 0
    call.header_bytes += name_size + value_size + 32
    if call.header_bytes > session.endpoint.header_list_bytes_max:
        # nghttp2 announces this limit but does not enforce it. RST_STREAM, and the HPACK state stays right.
        session.glitch(50)
        return ERR_TEMPORAL_CALLBACK_FAILURE
    if session.is_socket and not is_field_valid(call, <int>frame.headers.cat == HCAT_REQUEST, name, name_size, value, value_size):
        bad_fields(session, call)
        return 0
    if session.endpoint.server:
        # No gRPC request has trailers; what somebody sends as such means nothing.
        if <int>frame.headers.cat == HCAT_REQUEST:
            take_request_field(session, call, name, name_size, value, value_size)
    else:
        take_response_field(call, name, name_size, value, value_size)
    return 0


cdef bint is_field_valid(Stream call, bint is_request, const uint8_t *name, size_t name_size,
                         const uint8_t *value, size_t value_size) noexcept:
    """Names and values, and RFC 9113's rules for those with a colon: known ones, once each, before the others."""
    cdef int kind
    if not nghttp2_check_header_name(name, name_size) or not nghttp2_check_header_value(value, value_size):
        return False
    kind = field_kind(name, name_size)
    if kind == FIELD_REGULAR:
        call.fields_seen |= FIELD_REGULAR
        return True
    if kind == FIELD_UNKNOWN or not is_request or call.fields_seen & (kind | FIELD_REGULAR):
        return False
    call.fields_seen |= kind
    return True


cdef int field_kind(const uint8_t *name, size_t size) noexcept:
    if name[0] != c':':
        return FIELD_REGULAR
    if size == 7 and same(name, b":method", 7):
        return FIELD_METHOD
    if size == 5 and same(name, b":path", 5):
        return FIELD_PATH
    if size == 7 and same(name, b":scheme", 7):
        return FIELD_SCHEME
    if size == 10 and same(name, b":authority", 10):
        return FIELD_AUTHORITY
    return FIELD_UNKNOWN


cdef void bad_fields(Session session, Stream call) noexcept:
    """End a stream as nghttp2 does it on ports."""
    if call.bad_header:
        return
    call.bad_header = True
    call.ignoring = True
    nghttp2_submit_rst_stream(session.h2, 0, call.id, PROTOCOL_ERROR)


cdef inline bint same(const uint8_t *data, const char *text, size_t size) noexcept:
    return memcmp(data, text, size) == 0


cdef void take_request_field(Session session, Stream call, const uint8_t *name, size_t name_size,
                             const uint8_t *value, size_t value_size) noexcept:
    if name_size == 5 and same(name, b":path", 5):
        # Most requests of a connection go to the same method: keep its path and look it up once.
        if session.last_path is None or <size_t>PyBytes_GET_SIZE(session.last_path) != value_size \
                or not same(value, PyBytes_AS_STRING(session.last_path), value_size):
            session.last_path = PyBytes_FromStringAndSize(<char *>value, value_size)
            session.last_method = session.endpoint.methods.get(session.last_path)
        call.path = session.last_path
        call.method = session.last_method
    elif name_size == 7 and same(name, b":method", 7):
        call.is_post = value_size == 4 and same(value, b"POST", 4)
        if session.bridge is not None:
            add_field(call, b":method", PyBytes_FromStringAndSize(<char *>value, value_size))
    elif name_size == 7 and same(name, b":scheme", 7):
        pass
    elif name_size == 2 and same(name, b"te", 2):
        pass
    elif name_size == 12 and same(name, b"content-type", 12):
        take_content_type(call, value, value_size)
        if not call.is_grpc and session.bridge is not None:
            add_field(call, b"content-type", PyBytes_FromStringAndSize(<char *>value, value_size))
    elif name_size == 12 and same(name, b"grpc-timeout", 12):
        take_timeout(call, value, value_size)
    elif name_size == 13 and same(name, b"grpc-encoding", 13):
        call.encoding = PyBytes_FromStringAndSize(<char *>value, value_size)
    else:
        repeat_field(session, call, name, name_size, value, value_size)


cdef inline bint same_bytes(bytes known, const char *text, size_t size) noexcept:
    return <size_t>PyBytes_GET_SIZE(known) == size and memcmp(PyBytes_AS_STRING(known), text, size) == 0


cdef void repeat_field(Session session, Stream call, const uint8_t *name, size_t name_size,
                       const uint8_t *value, size_t value_size) noexcept:
    """Add a field: the very object that the last call had in this place, if it says the same (agents and tokens do)."""
    cdef tuple field
    cdef Py_ssize_t place = 0 if call.header_list is None else len(call.header_list)
    if session.last_fields is not None and place < len(session.last_fields):
        field = <tuple>session.last_fields[place]
        if same_bytes(<bytes>field[0], <char *>name, name_size) and same_bytes(<bytes>field[1], <char *>value, value_size):
            if call.header_list is None:
                call.header_list = []
            call.header_list.append(field)
            return
    add_field(call, PyBytes_FromStringAndSize(<char *>name, name_size),
              PyBytes_FromStringAndSize(<char *>value, value_size))


cdef void add_field(Stream call, bytes name, bytes value) noexcept:
    if call.header_list is None:
        call.header_list = []
    call.header_list.append((name, value))


cdef void take_content_type(Stream call, const uint8_t *value, size_t size) noexcept:
    """application/grpc, application/grpc+codec or application/grpc;parameters, in lower case only (as 3.5.1)."""
    cdef bytes text
    if size == 16 and same(value, b"application/grpc", 16):
        call.is_grpc = True
        return
    text = PyBytes_FromStringAndSize(<char *>value, size)
    if text.startswith(b"application/grpc") and text[16:17] in (b"+", b";"):
        call.is_grpc = True
        # Echoed, as grpc-go does: a subtype after either separator comes back behind a plus.
        call.content_type = b"application/grpc+" + text[17:] if size > 17 else None


# A grpc-timeout below a microsecond: refused before a handler sees the call.
cdef double ALREADY_EXPIRED = 1e-9


cdef void take_timeout(Stream call, const uint8_t *value, size_t size) noexcept:
    """grpc-timeout: at most eight digits and a unit."""
    cdef double amount = 0
    cdef size_t i
    cdef uint8_t unit
    if size < 2 or size > 9:
        call.bad_timeout = True
        return
    for i in range(size - 1):
        if value[i] < 48 or value[i] > 57:
            call.bad_timeout = True
            return
        amount = amount * 10 + (value[i] - 48)
    unit = value[size - 1]
    if unit == c'S':
        pass
    elif unit == c'm':
        amount *= 1e-3
    elif unit == c'u':
        amount *= 1e-6
    elif unit == c'n':
        amount *= 1e-9
    elif unit == c'M':
        amount *= 60
    elif unit == c'H':
        amount *= 3600
    else:
        call.bad_timeout = True
        return
    call.deadline_at = monotonic() + amount if amount >= 1e-6 else ALREADY_EXPIRED


cdef void take_response_field(Stream call, const uint8_t *name, size_t name_size,
                              const uint8_t *value, size_t value_size) noexcept:
    cdef bytes text = PyBytes_FromStringAndSize(<char *>value, value_size)
    if name_size == 7 and same(name, b":status", 7):
        call.http_status = text
    elif name_size == 11 and same(name, b"grpc-status", 11):
        call.grpc_status = text
    elif name_size == 12 and same(name, b"grpc-message", 12):
        call.grpc_message = text
    elif name_size == 13 and same(name, b"grpc-encoding", 13):
        call.encoding = text
    else:
        add_field(call, PyBytes_FromStringAndSize(<char *>name, name_size), text)


cdef int on_data(nghttp2_session *h2, uint8_t flags, int32_t stream_id, const uint8_t *data, size_t size, void *me) noexcept:
    cdef Session session = <Session>me
    cdef Stream call
    session.consume(size)
    call = session.find(stream_id)
    if call is None:
        return 0
    try:
        call.receive(data, size)
    except MemoryError:
        return ERR_CALLBACK_FAILURE
    return 0


cdef int on_frame(nghttp2_session *h2, const nghttp2_frame *frame, void *me) noexcept:
    cdef Session session = <Session>me
    cdef uint8_t kind = frame.hd.type
    if kind == DATA or kind == HEADERS:
        message_frame(session, frame)
    elif kind == PING:
        if not frame.hd.flags & FLAG_ACK:
            session.ping_received()
    elif kind == RST_STREAM:
        if session.endpoint.server:
            session.reset_received()
    elif kind == SETTINGS:
        session.settings_received = True
        if not frame.hd.flags & FLAG_ACK:
            session.glitch(1)
    elif kind == PRIORITY:
        session.glitch(1)
    elif kind == WINDOW_UPDATE:
        session.window_updates += 1
        if session.window_updates > WINDOW_UPDATES_FREE:
            session.glitch(1)
    elif kind == GOAWAY:
        session.draining = True
        if session.endpoint.hooks is not None:
            session.last_error = f"GOAWAY {frame.goaway.error_code}"
    return 0


cdef void message_frame(Session session, const nghttp2_frame *frame) noexcept:
    """A HEADERS or DATA frame is complete."""
    cdef Stream call
    cdef bint ended = frame.hd.flags & FLAG_END_STREAM
    if frame.hd.type == HEADERS:
        session.in_headers = False
        session.headers_at = 0
    elif frame.hd.length == 0 and not ended:
        session.glitch(1)
    call = session.find(frame.hd.stream_id)
    if call is None:
        return
    if frame.hd.type == HEADERS and <int>frame.headers.cat == HCAT_REQUEST and session.endpoint.server:
        request_head(session, call)
    if not ended:
        if frame.hd.type == HEADERS and <int>frame.headers.cat != HCAT_REQUEST and session.is_socket:
            bad_fields(session, call)  # trailers end a stream
        return
    call.remote_ended = True
    if call.ignoring:
        return
    if call.partial_need or call.prefix_have:
        call.refuse(C_TRUNCATED, 0)
    elif call.streaming:
        call.end_pending = True
        call.raise_event(EVENT_MESSAGES)
    elif session.endpoint.server:
        call.refuse(C_NO_MESSAGE, 0)


cdef void request_head(Session session, Stream call) noexcept:
    """All header fields of a request are here: is it gRPC, which method, by when?"""
    if call.header_list is not None and call.header_bytes <= KEPT_FIELDS_BYTES_MAX:
        session.last_fields = call.header_list
    if call.bad_header:
        call.closed = True
        return
    if not call.is_grpc and session.bridge is not None and call.path is not None:
        call.plain = True
        call.streaming = True
        call.method = None
        call.encoding = None
        call.deadline_at = 0
        call.raise_event(EVENT_OPEN)
        return
    if not call.is_post or not call.is_grpc or call.bad_timeout or call.path is None:
        call.ignoring = True
        call.closed = True
        nghttp2_submit_rst_stream(session.h2, 0, call.id, PROTOCOL_ERROR)
        return
    if call.method is None:
        call.refuse(C_UNKNOWN_METHOD, 0)
        return
    if call.encoding is not None and call.encoding != b"gzip":
        if call.encoding != b"identity":
            call.refuse(C_BAD_ENCODING, 0)
            return
        call.encoding = None
    if call.deadline_at == ALREADY_EXPIRED:
        call.refuse(C_EXPIRED, 0)
        return
    if call.deadline_at:
        session.endpoint.watch_deadline(call)
    if call.method.streaming:
        call.streaming = True
        call.raise_event(EVENT_OPEN)


cdef int on_frame_send(nghttp2_session *h2, const nghttp2_frame *frame, void *me) noexcept:
    cdef Session session = <Session>me
    cdef Stream call
    if frame.hd.type == DATA:
        session.ping_forgiven = True
        session.data_frames += 1
        session.window_updates = max(0, session.window_updates - WINDOW_UPDATES_PER_DATA)
        if frame.hd.flags & FLAG_END_STREAM and session.endpoint.server:
            # An answer without trailers, as below.
            call = session.find(frame.hd.stream_id)
            if call is not None and not call.remote_ended:
                nghttp2_submit_rst_stream(h2, 0, frame.hd.stream_id, NO_ERROR)
    elif frame.hd.type == HEADERS:
        session.ping_forgiven = True
        if session.endpoint.server and frame.hd.flags & FLAG_END_STREAM:
            # Ended before the client had: he need not send the rest. Submitted earlier it would overtake the HEADERS.
            call = session.find(frame.hd.stream_id)
            if call is not None and not call.remote_ended:
                nghttp2_submit_rst_stream(h2, 0, frame.hd.stream_id, NO_ERROR)
    elif frame.hd.type == RST_STREAM and session.endpoint.server and frame.rst_stream.error_code != NO_ERROR:
        # A reset that the peer made us send costs as much as one that he sent.
        session.glitch(1)
    return 0


cdef int on_invalid_frame(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *me) noexcept:
    (<Session>me).glitch(1)
    return 0


cdef int on_stream_close(nghttp2_session *h2, int32_t stream_id, uint32_t error, void *me) noexcept:
    cdef Session session = <Session>me
    cdef void *found = nghttp2_session_get_stream_user_data(h2, stream_id)
    if found != NULL:
        nghttp2_session_set_stream_user_data(h2, stream_id, NULL)
        call_closed(session, <Stream>found, error)
    return 0


cdef int on_frame_not_send(nghttp2_session *h2, const nghttp2_frame *frame, int code, void *me) noexcept:
    """A client's request that nghttp2 had queued and will not send (GOAWAY, cancelled): no stream, hence no close event."""
    cdef Session session = <Session>me
    cdef PyObject *at = session.first_open
    if frame.hd.type != HEADERS or session.endpoint.server:
        return 0
    while at != NULL:
        if (<Stream>at).id == frame.hd.stream_id:
            nghttp2_session_set_stream_user_data(h2, frame.hd.stream_id, NULL)
            call_closed(session, <Stream>at, REFUSED_STREAM)
            return 0
        at = (<Stream>at).next_open
    return 0


cdef void call_closed(Session session, Stream call, uint32_t error) noexcept:
    """nghttp2 knows the stream no more: close its accounts, tell its handler."""
    call.gone = True
    if call.slot:
        session.zombies += 1
    if not call.answered and session.endpoint.server:
        call.count_end(1)
    call.closed = True
    call.error = error
    session.endpoint.forget_deadline(call)
    session.queued_bytes -= call.queued_bytes
    call.queued_bytes = 0
    call.chunk = None
    call.chunks = None
    call.outbox = None
    call.prefix_left = 0
    if not call.slot:
        call.settle()
    call.drop_partial()
    if error or session.endpoint.server:
        # A client still takes what came before a regular end, however late it resumes reading.
        call.inbox = None
    if call.handler is not None or call.events & EVENT_OPEN:
        call.raise_event(EVENT_CLOSE)
    session.unlink(call)


cdef ssize_t on_read(nghttp2_session *h2, int32_t stream_id, uint8_t *buffer, size_t room, uint32_t *flags,
                     nghttp2_data_source *source, void *me) noexcept:
    """nghttp2 builds a DATA frame: the window is open and the transport takes bytes."""
    cdef Stream call = <Stream>source.ptr
    cdef Session session = <Session>me
    cdef size_t done = call.take_out(buffer, room)
    if call.above_mark and call.queued_bytes <= session.endpoint.low_mark_bytes:
        call.above_mark = False
        call.raise_event(EVENT_DRAIN)
    if call.has_output():
        return done
    if call.finishing:
        flags[0] |= DATA_FLAG_EOF
        if call.plain:
            return done
        if session.endpoint.server:
            flags[0] |= DATA_FLAG_NO_END_STREAM
            call.submit_trailers()
        return done
    if done == 0:
        call.deferred = True
        return ERR_DEFERRED
    return done


cdef int make_callbacks() except -1:
    if nghttp2_session_callbacks_new(&CALLBACKS) != 0:
        raise MemoryError
    nghttp2_session_callbacks_set_on_begin_frame_callback(CALLBACKS, on_begin_frame)
    nghttp2_session_callbacks_set_on_begin_headers_callback(CALLBACKS, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback(CALLBACKS, on_header)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(CALLBACKS, on_data)
    nghttp2_session_callbacks_set_on_frame_recv_callback(CALLBACKS, on_frame)
    nghttp2_session_callbacks_set_on_frame_send_callback(CALLBACKS, on_frame_send)
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(CALLBACKS, on_invalid_frame)
    nghttp2_session_callbacks_set_on_stream_close_callback(CALLBACKS, on_stream_close)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(CALLBACKS, on_frame_not_send)
    nghttp2_session_callbacks_set_unpack_extension_callback(CALLBACKS, on_unpack_extension)
    return 0


cdef int make_options() except -1:
    cdef nghttp2_option *option
    cdef int kind
    global SERVER_OPTION, CLIENT_OPTION, SOCKET_OPTION
    for side in range(3):
        if nghttp2_option_new(&option) != 0:
            raise MemoryError
        nghttp2_option_set_no_auto_window_update(option, 1)
        # Kept closed streams are bounded by the announced number of streams only, and that is 2^32 - 1.
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_max_outbound_ack(option, 1000)
        nghttp2_option_set_max_settings(option, 32)
        nghttp2_option_set_max_continuations(option, 16)
        # A backstop: Session.reset_received comes first and says ENHANCE_YOUR_CALM where nghttp2 says INTERNAL_ERROR.
        nghttp2_option_set_stream_reset_rate_limit(option, 4 * RESET_BURST, 4 * RESET_RATE)
        # So that frames of unknown types are reported by on_begin_frame at all.
        for kind in range(CONTINUATION + 1, 256):
            nghttp2_option_set_user_recv_extension_type(option, kind)
        if side == 0:
            SERVER_OPTION = option
        elif side == 1:
            nghttp2_option_set_no_http_messaging(option, 1)
            SOCKET_OPTION = option
        else:
            # How many streams a client opens before it has seen the server's SETTINGS.
            nghttp2_option_set_peer_max_concurrent_streams(option, 100)
            CLIENT_OPTION = option
    return 0


make_callbacks()
make_options()
