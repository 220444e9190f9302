# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""HTTP/2 sessions with gRPC's message framing, server and client side, over libnghttp2. Compiled by Cython.

    data_received > nghttp2 > C callbacks collect > dispatch to Python > answers queue in the streams > flush > one write

Rules
  * Python handlers run only from `Session.dispatch`, never from within nghttp2 (its functions must not be re-entered from its
    callbacks). The callbacks note what happened in `Stream.events`; a stream stands in `Session.events` once.
  * All that one `data_received` completes is dispatched together; all that one loop turn answers leaves in one write per
    connection (`Endpoint.flush`, scheduled by the first answer, or called by whoever knows that the batch is complete).
  * Nothing is taken from nghttp2 while the asyncio transport is paused: its queue stays empty and back-pressure reaches
    `write()`: transport paused or window closed > read callback not called > `queued_bytes` above the mark > False.
  * Nobody decides by what he sends how much memory we use: see the receive budget below, and Endpoint's limits.

Receive budget, per connection. The connection window is given back at once, so that no upload can block another; what bounds
memory are the stream windows and these counters:
  held      messages not yet whole, or whole and not yet taken by a paused reader. A stream window is 32 KiB. A message larger
            than half of it asks for a reserve (16 MiB in all, first come first served) and gets a window for all of it when it
            is its turn, so some upload always progresses. Above the bound the stream that exceeds it is refused.
  pending   unary requests handed to a handler that has not answered. Above the bound the connection window is withheld:
            no deadlock, since those answers do not depend on what the client sends next.
  queued    answers waiting for the client's window or socket. Above the bound new requests wait before their handlers.

Nobody decides how long others wait either: what one read brings is parsed and dispatched for TURN_SECONDS_MAX each, the rest
waits for the loop's next turn, and until then nothing more is read from that connection.

What a peer may do wrong has a price in one token bucket ("glitches"); an empty bucket ends the connection with
GOAWAY(ENHANCE_YOUR_CALM). Resets by the client have a bucket of their own (1000 + 33/s).

It holds no etcd logic: texts and codes of refused calls are decided by `hooks` (see `grpc/server.py`).
"""

import collections
from time import perf_counter

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from etcdpy.transport.http2.nghttp2 cimport *

from etcdpy.base.errors import EtcdError
from etcdpy.base.invariant import InvariantError

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **, Py_ssize_t) except -1
    PyObject *PyBytes_New "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    char *bytes_data "PyBytes_AS_STRING"(PyObject *)
    void Py_XDECREF(PyObject *)
    ctypedef struct PyDictObject:
        pass
    PyObject *PyDict_GetItem(object, object)

cdef extern from "time.h" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    int clock_gettime(int, timespec *)

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *, unsigned long, int)
    short POLLIN

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef enum:
    CLOCK_MONOTONIC = 1
    # RFC 9113 frame types
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9
    PRIORITY_UPDATE = 16
    FLAG_END_STREAM = 1
    FLAG_ACK = 1
    # RFC 9113 error codes
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    REFUSED_STREAM = 7
    CANCEL = 8
    ENHANCE_YOUR_CALM = 11
    # nghttp2's own
    HCAT_REQUEST = 0
    HCAT_RESPONSE = 1
    DATA_FLAG_EOF = 1
    DATA_FLAG_NO_END_STREAM = 2
    NV_NO_COPY_NAME = 2
    NV_NO_COPY_VALUE = 4
    NV_NO_COPY = 6
    ERR_DEFERRED = -508
    ERR_CANCEL = -535
    ERR_TEMPORAL_CALLBACK_FAILURE = -521
    ERR_CALLBACK_FAILURE = -902
    SETTINGS_ENABLE_PUSH = 2
    SETTINGS_MAX_CONCURRENT_STREAMS = 3
    SETTINGS_INITIAL_WINDOW_SIZE = 4
    SETTINGS_MAX_HEADER_LIST_SIZE = 6
    # Stream.events
    EVENT_REQUEST = 1
    EVENT_OPEN = 2
    EVENT_MESSAGES = 4
    EVENT_DRAIN = 8
    EVENT_REFUSED = 16
    EVENT_CLOSE = 32
    # RFC 9113: a stream's window before any SETTINGS
    DEFAULT_WINDOW_BYTES = 65535
    # How much one flush collects before it writes: with a frame more, still a modest piece of the C stack.
    WRITE_BYTES = 65536
    WRITE_ROOM = 65536 + 32768

# Why a call is refused before its handler sees it (Stream.refusal).
NOT_REFUSED = 0
UNKNOWN_METHOD = 1
NO_MESSAGE = 2
TRUNCATED = 3
TOO_LARGE = 4
BAD_FLAG = 5
NO_ENCODING = 6
BAD_ENCODING = 7
EXPIRED = 8

cdef enum:
    C_UNKNOWN_METHOD = 1
    C_NO_MESSAGE = 2
    C_TRUNCATED = 3
    C_TOO_LARGE = 4
    C_BAD_FLAG = 5
    C_NO_ENCODING = 6
    C_BAD_ENCODING = 7
    C_EXPIRED = 8

# nghttp2's numbers: so many resets by the client at once, and per second.
cdef uint64_t RESET_BURST = 1000
cdef uint64_t RESET_RATE = 33
# grpc-go: pings allowed in excess of the policy before the connection is ended.
cdef int PING_STRIKES_MAX = 2
# grpc-go: without open streams a ping is only in order after this long.
cdef double IDLE_PING_INTERVAL = 2 * 3600.0
# Unary calls of one connection in the hands of their handlers before more is read; half as many when it goes on. Their answers
# do not depend on anything that the client still sends.
cdef long UNARY_RUNNING_MAX = 2048
# How long what one connection sends may be parsed, or its calls be handed out, before others have their turn.
cdef double TURN_SECONDS_MAX = 0.002
cdef double OFFENDER_TURN_SECONDS_MAX = 0.001
cdef double OFFENCES_FORGIVEN = 10
cdef Py_ssize_t PARSED_PIECE_BYTES = 16384
# A read that brought so much filled its buffer: the loop would read on from this socket, 32 times, before it looks elsewhere.
cdef Py_ssize_t FULL_READ_BYTES = 128 * 1024
# Requests of a client with too much unread that wait; more are refused, in the way that lets him ask again.
cdef long POSTPONED_MAX = 2048
# Postponed calls that are tried again at once; the next ones follow when those are answered.
cdef int RETRIED_AT_ONCE_MAX = 64
# What a message costs that cannot be decompressed, in offences: it may have taken milliseconds.
cdef double BAD_COMPRESSION_COST = 25.0
# Granularity of deadlines: one timer per endpoint and interval, none per call.
cdef double TICK_SECONDS = 0.05
# WINDOW_UPDATE frames taken without complaint before progress is asked for, and per DATA frame sent (Envoy: 10).
cdef long WINDOW_UPDATES_FREE = 1000
cdef long WINDOW_UPDATES_PER_DATA = 10
# While the transport is paused: reading stops when this many answers or bytes wait (grpc-go: 100 control items).
cdef long UNSENT_ANSWERS_MAX = 1000
cdef size_t UNSENT_BYTES_MAX = 1 << 20
# A message that a stream without anything unsent may still write on a crowded connection.
cdef size_t LITTLE_BYTES = 65536
# Answers of unary calls that one connection may leave unread before it is given up, the last one not counted.
cdef size_t UNREAD_BYTES_MAX = 48 << 20
# Header fields that a connection remembers from one call to the next: HPACK remembers as many by default.
cdef size_t KEPT_FIELDS_BYTES_MAX = 4096


cpdef double monotonic() noexcept nogil:
    """The clock of `loop.time()`."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return now.tv_sec + now.tv_nsec * 1e-9


def percent_encode(str text):
    """grpc-message: UTF-8 with everything outside of 0x20-0x7e, and '%', percent-encoded."""
    cdef bytes raw = text.encode("utf-8", "replace")
    return b"".join([bytes((c,)) if 0x20 <= c <= 0x7E and c != 0x25 else b"%%%02X" % c for c in raw])


include "linger.pxi"
include "endpoint.pxi"
include "stream.pxi"
include "session.pxi"
include "callbacks.pxi"
