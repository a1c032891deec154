"""Why a job ended without success, in words that a condition can carry."""

from search_plane.release.report import EXIT_RETRYABLE, Reason


class JobFailed(Exception):
    """The job cannot go on. `reason` is for machines, the message for people."""

    def __init__(self, reason: Reason, message: str, exit_code: int = EXIT_RETRYABLE) -> None:
        super().__init__(message)
        self.reason: Reason = reason
        self.exit_code = exit_code
