"""Works on the side: export and defragmentation go on in steps, driven by Backend.poll.

Both need the store to stand still on disk for a while. They hold further commits back; writes go on into the live
buffer meanwhile, up to the mark where the backend calls itself congested.

    waiting for the commit in flight and for an entry boundary -> committing what is there -> the job's own stages

A job that fails says so in poll(); it never poisons the backend, unless the switch of generations itself fails.
"""

from __future__ import annotations

from typing import Protocol

from etcdpy.storage.backend.generation import Generation


class JobError(Exception):
    """An export or a defragmentation failed. The store is as it was."""


class Job(Protocol):
    """As the backend sees it."""

    def step(self, now: float) -> None:
        """Go on without blocking. Errors of the job stay in it; StorageError poisons the backend."""

    def is_over(self) -> bool:
        """Return whether no step is left, by success or failure."""

    def needs_poll(self) -> bool:
        """Return whether a step is worth trying at once."""

    def cancel(self) -> None:
        """Stop now and clean up."""


class Host(Protocol):
    """As the job sees the backend."""

    def hold_commits(self, job: Job) -> bool:
        """Keep new commits from starting; return False while another job does."""

    def may_hold(self, job: Job) -> bool:
        """Return whether `hold_commits` would succeed now."""

    def commit_held(self, job: Job) -> bool:
        """Start the commit of all there is; return False while that is not possible (commit in flight, open entry)."""

    def is_committing(self) -> bool:
        """Return whether a commit is in flight."""

    def release_commits(self, job: Job) -> None:
        """Let commits go on."""

    @property
    def generation(self) -> Generation:
        """The current generation."""

    @property
    def consistent_index(self) -> int:
        """Index of the last entry that was ended."""

    @property
    def term(self) -> int:
        """Its term."""


class Jobs:
    """The jobs of one backend, and who of them holds commits back."""

    def __init__(self) -> None:
        self.holder: Job | None = None
        self._jobs: list[Job] = []

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def add(self, job: Job) -> None:
        """Take a job that was just made."""
        self._jobs.append(job)

    def step(self, now: float) -> bool:
        """Let every job go on; return whether one has ended."""
        for job in self._jobs:
            if not job.is_over():  # somebody may have cancelled it between two polls
                job.step(now)
        going_on = [job for job in self._jobs if not job.is_over()]
        has_ended = len(going_on) < len(self._jobs)
        self._jobs = going_on
        return has_ended

    def may_hold(self, job: Job) -> bool:
        """Return whether no other job keeps commits from starting."""
        return self.holder is None or self.holder is job

    def hold(self, job: Job) -> bool:
        """Keep new commits from starting; return False while another job does."""
        if self.holder is None:
            self.holder = job
        return self.holder is job

    def release(self, job: Job) -> None:
        """Let commits go on, as far as this job is concerned."""
        if self.holder is job:
            self.holder = None

    def need_poll(self) -> bool:
        """Return whether a step is worth trying at once."""
        return bool(self._jobs) and any(job.needs_poll() for job in self._jobs)

    def cancel(self) -> None:
        """Stop all."""
        for job in self._jobs:
            job.cancel()
        self._jobs = []
