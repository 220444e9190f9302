"""What the WAL and the snapshot folder ask of the file system: locks, preallocation, atomic files, purging.

Every failure here is a StorageError; nothing is retried, nothing swallowed.

Locks. Go's etcd takes Linux's open-file-description locks and, where the file system has none, flock. The two do
not see each other, so we take both: either program keeps the other out. Both belong to the open file: they go when it
is closed, however the process ends, and a second open of the same file in the same process is refused too.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Iterator

from etcdpy.base.invariant import StorageError

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

# struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid; length 0 is "to the end".
_WRITE_LOCK = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
# Linux's own; Python does not have it. Arguments: descriptor, offset, bytes, flags.
_sync_file_range = ctypes.CDLL(None, use_errno=True).sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
_SYNC_FILE_RANGE_WRITE = 2
_NOT_SUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)
# Of beginning to write: what may be missing without harm. ESPIPE: it is no file that can be written so.
_CANNOT_BEGIN = (*_NOT_SUPPORTED, errno.ESPIPE, errno.EPERM)
_IS_LOCKED = (errno.EAGAIN, errno.EACCES)


@contextlib.contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the world's OSError into the project's StorageError, which says what was being done."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{what}: {error}") from error


def try_lock(fd: int) -> bool:
    """Lock the open file for this holder alone; return whether that succeeded."""
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _WRITE_LOCK)
    except OSError as error:
        if error.errno in _IS_LOCKED:
            return False
        if error.errno not in _NOT_SUPPORTED:
            raise
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _IS_LOCKED:
            return False
        # NFS has no flock of its own: the first lock must do there.
        if error.errno not in (*_NOT_SUPPORTED, errno.EBADF):
            raise
    return True


def open_locked(path: str, flags: int) -> int:
    """Return a descriptor of `path` that nobody else holds."""
    with storage_errors(f"cannot open {path}"):
        fd = os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
        try:
            locked = try_lock(fd)
        except OSError:
            os.close(fd)
            raise
    if not locked:
        os.close(fd)
        raise StorageError(f"{path} is locked by another process")
    return fd


def preallocate(fd: int, size_bytes: int) -> None:
    """Give the file `size_bytes` of zeros on disk, so that appending moves no end and cannot run out of space."""
    try:
        os.posix_fallocate(fd, 0, size_bytes)
    except OSError as error:
        if error.errno not in (*_NOT_SUPPORTED, errno.ENODEV):
            raise
        os.ftruncate(fd, size_bytes)


def read_whole(fd: int, path: str) -> bytes:
    """Return all bytes of an open file."""
    with storage_errors(f"cannot read {path}"):
        size = os.fstat(fd).st_size
        parts: list[bytes] = []
        position = 0
        # One read gives at most 2 GiB, and a file may end earlier than it just said.
        while position < size:
            part = os.pread(fd, size - position, position)
            if not part:
                break
            parts.append(part)
            position += len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def write_whole(fd: int, data: bytes, offset: int) -> None:
    """Write all of `data` at `offset`. A short write means that the disk is full: it is an error, not a start."""
    written = os.pwrite(fd, data, offset)
    if written != len(data):
        raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes were written")


def start_writing(fd: int, offset: int, size_bytes: int) -> None:
    """Have the disk begin to write what was put there, without waiting, so that a sync soon after has less to wait for.

    Where the system cannot do it, the sync does all. A failure counts: a file system that told us of one here, and gave
    up what it could not write, need not tell the sync of it again.
    """
    if _sync_file_range(fd, offset, size_bytes, _SYNC_FILE_RANGE_WRITE) != 0:
        number = ctypes.get_errno()
        if number not in _CANNOT_BEGIN:
            raise OSError(number, os.strerror(number))


def make_directory(path: str) -> None:
    """Create `path` and its parents with mode 0700 where they do not exist."""
    parent = os.path.dirname(path)
    if parent and not os.path.isdir(parent):
        make_directory(parent)
    with storage_errors(f"cannot create {path}"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, DIRECTORY_MODE)
        if not os.path.isdir(path):
            raise NotADirectoryError(path)


def sync_directory(path: str) -> None:
    """Make the names in `path` durable."""
    with storage_errors(f"cannot sync {path}"):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_atomically(path: str, data: bytes) -> None:
    """Create `path` with `data`: after a crash at any moment it is absent (or the old one), or whole."""
    temporary = path + ".tmp"
    with storage_errors(f"cannot write {path}"):
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
        try:
            write_whole(fd, data, 0)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    sync_directory(os.path.dirname(path))


def remove_if_exists(path: str) -> bool:
    with storage_errors(f"cannot remove {path}"):
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
    return True


def purge_files(directory: str, suffix: str, keep_max: int) -> list[str]:
    """Remove the oldest files that end in `suffix` while more than `keep_max` are there; return their names.

    Stop at the first file that somebody has locked: it, and so everything younger, is still needed. Names sort by age.
    """
    with storage_errors(f"cannot purge {directory}"):
        names = sorted(name for name in os.listdir(directory) if name.endswith(suffix))
        removed: list[str] = []
        for name in names[: max(0, len(names) - keep_max)]:
            path = os.path.join(directory, name)
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            try:
                if not try_lock(fd):
                    break
                os.unlink(path)
            finally:
                os.close(fd)
            removed.append(name)
    return removed
