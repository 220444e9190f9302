"""The fields of the binding's classes, with what must always hold for them. `_nghttp2.pyx` holds the theory."""

from cpython.object cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from etcdpy.transport.http2.nghttp2 cimport nghttp2_nv, nghttp2_session


cdef class Method:
    cdef public object handler             # handle(call) or open(call); may be replaced between two calls
    cdef bint streaming
    cdef public uint64_t started, messages_received, messages_sent, bytes_received, bytes_sent
    cdef uint64_t codes[18]                # calls ended by gRPC code; 17 = any other number
    cdef readonly dict client_versions     # calls begun by what the client says its API version is; None: nothing
    cdef public object observe             # observe(seconds) is told how long each call took; None: nobody asks

    cdef begin(self, Stream call)
    cpdef count_begun(self, version)


cdef class Linger:
    cdef int fd                            # of the connection answered last; -1: several were, or nobody waits
    cdef int credit, skipped               # Invariant: 0 <= credit <= LINGER_CREDIT_MAX, 0 <= skipped < LINGER_TRY_EVERY
    cdef readonly uint64_t tries, hits

    cdef bint is_worth_it(self)


cdef class Endpoint:
    cdef object loop, hooks
    cdef bint server
    cdef dict methods
    cdef list base_headers
    # Limits, see Endpoint.__init__ for what each bounds.
    cdef readonly size_t message_bytes_max, held_bytes_max, pending_bytes_max, queued_bytes_max, reserve_bytes_max
    cdef readonly size_t header_list_bytes_max, high_mark_bytes, low_mark_bytes
    cdef readonly int32_t stream_window_bytes, connection_window_bytes
    cdef readonly uint32_t streams_max, streams_announced
    cdef readonly double ping_interval_min, glitch_burst, glitch_rate
    cdef readonly bint ping_without_stream
    # What is going on.
    cdef readonly uint64_t glitches
    cdef readonly long connections
    cdef set live                          # sessions between connection_made and connection_lost
    cdef list dirty                        # sessions with something to send; Invariant: session in it <=> session.dirty
    cdef bint flush_scheduled
    cdef readonly Linger linger
    cdef PyObject *first_deadline          # open calls with a deadline, linked through Stream.next_deadline
    cdef bint tick_armed                   # Invariant: first_deadline != NULL => tick_armed (when there is a loop)

    cdef void arm_tick(self)
    cdef void watch_deadline(self, Stream call)
    cdef void forget_deadline(self, Stream call)
    cpdef expire(self, double now)
    cpdef cork(self)
    cpdef flush(self)


cdef class Stream:
    cdef readonly int32_t id
    cdef readonly Session session
    cdef PyObject *next_open               # neighbours in Session.first_open
    cdef PyObject *previous_open
    cdef PyObject *next_deadline           # neighbours in Endpoint.first_deadline
    cdef PyObject *previous_deadline
    cdef bint watched                      # linked in Endpoint.first_deadline
    # The request (server) or response (client) head.
    cdef readonly bytes path, encoding, http_status, grpc_status, grpc_message
    cdef bytes content_type                # None: exactly application/grpc
    cdef list header_list
    cdef size_t header_bytes
    cdef bint is_post, is_grpc, bad_timeout
    cdef bint bad_header                   # on sockets: fields that no request has; the stream is reset
    cdef int fields_seen                   # on sockets: FIELD_... bits
    cdef readonly bint plain               # no gRPC: bytes go in and out as they are; Invariant: plain => streaming
    cdef double deadline_at                # 0: none
    cdef double begun_at                   # 0: nobody asks how long it takes
    cdef bint begun                        # counted by its method
    cdef Method method
    # Incoming messages.
    cdef readonly bytes message
    cdef bint compressed                   # of the message being received, later of the unary `message`
    cdef readonly bint streaming
    cdef bint ignoring                     # nothing further is wanted: refused, answered, or a unary message is whole
    cdef uint8_t prefix_in[5]
    cdef int prefix_have
    cdef PyObject *partial                 # a bytes object being filled; NULL when no message is under way
    cdef size_t partial_have, partial_room, partial_need
    cdef size_t held                       # bytes of ours counted in session.held_bytes
    cdef size_t reserved                   # bytes of ours counted in session.reserved
    cdef bint waits_for_reserve
    cdef size_t pending                    # bytes of ours counted in session.pending_bytes
    cdef list inbox                        # whole messages (bytes, compressed) of a streaming call not yet delivered
    cdef bint reading_paused
    cdef bint end_pending                  # on_end is owed as soon as the inbox is empty
    cdef bint remote_ended                 # END_STREAM was received
    # Outgoing messages.
    cdef uint8_t prefix_out[5]
    cdef int prefix_left
    cdef bytes chunk                       # being copied out; off < len(chunk)
    cdef size_t chunk_off
    cdef list chunks                       # the rest of a message made of several chunks
    cdef Py_ssize_t chunk_next
    cdef object outbox                     # deque of messages behind `chunk`
    cdef readonly size_t queued_bytes      # all message bytes not yet given to nghttp2
    cdef bint deferred, finishing, started, above_mark
    cdef bytes trailer_status, trailer_message
    # Its life.
    cdef uint32_t events
    cdef readonly bint answered            # the final status is decided; Invariant: never goes back
    cdef readonly bint closed              # answers are dropped
    cdef readonly bint expired
    cdef bint gone                         # nghttp2 knows the stream no more
    cdef bint slot                         # counted in session.running, and if it is no stream in session.unary_running
    cdef bint close_told, close_owed
    cdef readonly uint32_t error
    cdef readonly int refusal
    cdef readonly uint32_t refused_value
    cdef public object user
    cdef object handler                    # StreamHandler

    cpdef metadata(self, bytes name)
    cdef int receive_plain(self, const uint8_t *data, size_t size) except -1
    cdef int receive(self, const uint8_t *data, size_t size) except -1
    cdef int begin_message(self) except -1
    cdef int fill_message(self, const uint8_t *data, size_t size) except -1
    cdef int complete_message(self, bytes message) except -1
    cdef int ask_reserve(self) except -1
    cdef void grant(self)
    cdef void release_reserve(self)
    cdef void drop_partial(self)
    cdef void drop_upload(self)
    cdef void unhold(self, size_t size)
    cdef int refuse(self, int reason, uint32_t value) except -1
    cdef void release_slot(self)
    cdef void raise_event(self, uint32_t event)
    cdef size_t take_out(self, uint8_t *buffer, size_t room)
    cdef void next_chunk(self)
    cdef bint has_output(self)
    cdef int fill_head(self, nghttp2_nv *fields) except -1
    cdef int load_message(self, object message) except -1
    cdef int submit_head(self) except -1
    cdef int submit_trailers(self) except -1
    cdef int trailers_only(self) except -1
    cdef void wake(self)
    cdef object inflated(self, bytes message, bint compressed)
    cdef object deflated(self, object message)
    cdef int queue_message(self, object message) except -1
    cdef void count_end(self, int code)
    cdef void settle(self)
    cpdef respond(self, object message)
    cpdef fail(self, int code, str text)
    cpdef start(self)
    cpdef bint has_room(self, size_t size)
    cpdef bint write(self, object message) except -1
    cpdef finish(self, int code=*, str text=*)


cdef class Session:
    cdef nghttp2_session *h2               # NULL before connection_made and after connection_lost
    cdef readonly Endpoint endpoint
    cdef readonly object transport
    cdef readonly str peer
    cdef int fd                            # of the socket; -1: there is none (any more)
    cdef public object bridge              # open(call) for requests that are no gRPC; None: they are refused
    cdef object certificate_name           # see peer_common_name; False: not looked at yet
    cdef PyObject *first_open              # streams nghttp2 knows, each holding one reference of ours
    cdef readonly long open_streams        # Invariant: length of first_open's list
    cdef readonly long running             # handlers that did not end, their streams open or not
    cdef readonly long zombies             # of those, the ones whose stream is gone
    cdef PyObject *current                 # cache of the last stream looked up
    cdef int32_t current_id
    cdef list events                       # streams with Stream.events != 0
    cdef bint dispatching, in_callbacks
    cdef bint is_socket                    # the client came through a socket of the file system
    cdef list postponed                    # whole unary requests that wait until less is queued for sending
    cdef long unary_running                # handlers of unary calls that did not end
    # Why nothing is read: the transport is paused and too much unsent; too many calls are being handled; or events wait for
    # the loop's next turn. Invariant: the transport reads <=> none of them.
    cdef bint unsent, crowded, turn_is_over
    cdef bytes rest                        # of what was read; Invariant: not None => turn_is_over
    # Receive budget. Invariant: each is the sum of the like-named field over this session's streams.
    cdef readonly size_t held_bytes, pending_bytes, reserved_bytes, queued_bytes
    cdef size_t withheld                   # received, but not given back to the connection window
    cdef object reserve_queue              # deque of streams that wait for Endpoint.reserve_bytes_max
    # Sending.
    cdef bint dirty, writable
    cdef readonly bint draining            # a GOAWAY came or went: no new calls
    cdef bint doomed                       # terminated for bad behaviour: read nothing more
    cdef bint closing
    cdef readonly bint settings_received
    cdef bint in_headers
    cdef readonly str last_error
    # Clocks and buckets.
    cdef uint64_t reads, data_frames       # counters; the sweep turns a changed one into a time
    cdef uint64_t swept_reads, swept_data_frames
    cdef double made_at, last_read, last_progress, headers_at, ping_sent_at, closing_at
    cdef double glitch_tokens, glitch_at, reset_tokens, reset_at
    cdef double last_ping_at
    cdef int ping_strikes
    cdef bint ping_forgiven
    cdef long window_updates
    cdef bytes last_path                   # a one-entry intern table
    cdef list last_fields                  # `header_list` of the last call, whose fields the next one mostly has, too
    cdef Method last_method
    cdef object __weakref__

    cdef Stream find(self, int32_t stream_id)
    cdef Stream new_stream(self, int32_t stream_id)
    cdef void link(self, Stream stream)
    cdef void unlink(self, Stream stream)
    cdef void note_progress(self, double now)
    cdef void consume(self, size_t size)
    cdef void release_withheld(self)
    cdef void grant_waiting(self)
    cdef void glitch(self, double cost)
    cdef void terminate(self, uint32_t error, bytes debug)
    cdef void ping_received(self)
    cdef void reset_received(self)
    cdef void mark_dirty(self)
    cdef void wake_dispatch(self)
    cdef dispatch(self)
    cdef start_unary(self, Stream call)
    cdef deliver(self, Stream call, uint32_t events)
    cdef open_call(self, Stream call)
    cdef deliver_messages(self, Stream call)
    cdef maybe_pause_reading(self)
    cdef pause_for(self, bint *reason)
    cdef resume_for(self, bint *reason)
    cdef void unary_ended(self)
    cdef maybe_dispatch_postponed(self)
    cdef double turn_seconds(self)
    cdef end_turn(self)
    cdef bint may_go_on_later(self)
    cdef parse(self, bytes data)
    cdef drop_uploads(self)
    cdef take_no_more_than_is_read(self)
    cpdef flush(self)
    cpdef close(self)
    cpdef abort(self, str reason)
