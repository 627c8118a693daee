"""The one tree of errors. In: nothing. Out: exception classes that carry facts as attributes.

Never wraps an error of a library only to rename it, and never carries a secret.
"""

from __future__ import annotations


class GatewayError(Exception):
    """Root of everything this project raises on purpose."""


class ConfigurationError(GatewayError):
    """A file the user wrote is wrong: always one line with file, key and remedy (exit code 2)."""

    def __init__(self, file: str, key: str, problem: str, remedy: str) -> None:
        self.file, self.key, self.problem, self.remedy = file, key, problem, remedy
        where = f"{file}: {key}" if key else file
        super().__init__(f"{where}: {problem}; {remedy}")


class ConfigurationErrors(ConfigurationError):
    """Several mistakes of one import, one line each; ``count`` tells how many there were in all."""

    def __init__(self, errors: tuple[ConfigurationError, ...], count: int) -> None:
        first = errors[0]
        super().__init__(first.file, first.key, first.problem, first.remedy)
        self.errors, self.count = errors, count
        lines = [str(error) for error in errors]
        if count > len(errors):
            lines.append(f"... and {count - len(errors)} more")
        self.args = ("\n".join(lines),)


class JournalError(GatewayError):
    """The journal can not promise durability or can not be read; nothing may be acknowledged."""


class JournalFull(JournalError):
    """No room for messages: nothing is acknowledged, the broker keeps them until there is."""


class JournalCorrupt(JournalError):
    """Bytes of a committed record do not match their checksum, or a sequence number is missing."""

    def __init__(self, segment: str, offset: int, sequence: int, problem: str, *, resume: int) -> None:
        self.segment, self.offset, self.sequence, self.problem = segment, offset, sequence, problem
        self.resume = resume
        """The next sequence that can be read: [sequence, resume) are lost."""
        super().__init__(
            f"{segment} at byte {offset}: records {sequence} to {resume - 1} are lost: {problem}"
        )

    def until(self, end: int) -> JournalCorrupt:
        """As much of the loss as lies before ``end``."""
        if self.resume <= end:
            return self
        return JournalCorrupt(self.segment, self.offset, self.sequence, self.problem, resume=end)


class RecordUnreadable(JournalError):
    """A record whole by its checksum holds a payload that can not be read."""


class DirectoryLocked(GatewayError):
    """Another process owns the data directory."""


class StateFormatTooNew(GatewayError):
    """state.db or the journal was written by a later version; this one refuses to touch it."""


class ProtocolViolation(GatewayError):
    """The MQTT peer sent what the standard forbids; the connection must be closed."""


class StoreError(GatewayError):
    """The store did not take or answer a request."""

    def __init__(self, message: str, *, retryable: bool) -> None:
        self.retryable = retryable
        super().__init__(message)


class DeliveryError(GatewayError):
    """A recipient of alarms did not take a message; ``retry_after_s`` is how long it asked us to wait."""

    def __init__(self, message: str, *, retryable: bool, retry_after_s: float | None = None) -> None:
        self.retryable, self.retry_after_s = retryable, retry_after_s
        super().__init__(message)


class OrderRefused(GatewayError):
    """An operator's order can not be carried out; the message says why."""
