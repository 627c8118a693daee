"""The tables of state.db. In: nothing. Out: the statements that bring a file from each version to the next.

Never runs them. A migration, once released, is never changed: the next one mends it.
"""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE meta (
            name TEXT PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE cursor (
            follower TEXT PRIMARY KEY,
            sequence INTEGER NOT NULL,
            counts TEXT NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE snapshot (
            follower TEXT PRIMARY KEY,
            sequence INTEGER NOT NULL,
            content BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE transition (
            alarm_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            event TEXT NOT NULL,
            document TEXT NOT NULL,
            PRIMARY KEY (alarm_id, number)
        ) STRICT""",
        """CREATE TABLE alarm (
            alarm_id TEXT PRIMARY KEY,
            number INTEGER NOT NULL,
            state TEXT NOT NULL,
            raised_ns INTEGER NOT NULL
        ) STRICT""",
        "CREATE INDEX alarm_by_state ON alarm (state, raised_ns)",
        "CREATE INDEX alarm_by_time ON alarm (raised_ns)",
        """CREATE TABLE outbox (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            recipient TEXT NOT NULL,
            alarm_id TEXT NOT NULL,
            transition INTEGER NOT NULL,
            key TEXT NOT NULL,
            topic TEXT NOT NULL,
            content_type TEXT NOT NULL,
            body BLOB NOT NULL,
            retain INTEGER NOT NULL,
            created_ns INTEGER NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0,
            next_attempt_ns INTEGER NOT NULL,
            delivered_ns INTEGER,
            failed TEXT,
            UNIQUE (recipient, key)
        ) STRICT""",
        """CREATE INDEX outbox_pending ON outbox (recipient, alarm_id, id)
            WHERE delivered_ns IS NULL AND failed IS NULL""",
        """CREATE INDEX outbox_order ON outbox (recipient, id)
            WHERE delivered_ns IS NULL AND failed IS NULL""",
        """CREATE TABLE quarantine (
            sequence INTEGER NOT NULL,
            idx INTEGER NOT NULL,
            sample INTEGER NOT NULL,
            received_ns INTEGER NOT NULL,
            device TEXT NOT NULL,
            topic TEXT NOT NULL,
            payload BLOB NOT NULL,
            payload_bytes INTEGER NOT NULL,
            stage TEXT NOT NULL,
            reason TEXT NOT NULL,
            detail TEXT NOT NULL,
            replayed_ns INTEGER,
            PRIMARY KEY (sequence, idx, sample)
        ) STRICT""",
        "CREATE INDEX quarantine_by_reason ON quarantine (reason, sequence) WHERE replayed_ns IS NULL",
        """CREATE INDEX quarantine_replayed ON quarantine (sequence, idx, sample)
            WHERE replayed_ns IS NOT NULL""",
        """CREATE TABLE configuration (
            hash TEXT PRIMARY KEY,
            kind TEXT NOT NULL,
            created_ns INTEGER NOT NULL,
            content BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE in_force (
            sequence INTEGER PRIMARY KEY,
            hash TEXT NOT NULL
        ) STRICT""",
        """CREATE TABLE audit (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            at_ns INTEGER NOT NULL,
            who TEXT NOT NULL,
            action TEXT NOT NULL,
            subject TEXT NOT NULL,
            detail TEXT NOT NULL
        ) STRICT""",
    ),
    (
        """CREATE TABLE fault_transition (
            fault_id TEXT NOT NULL,
            number INTEGER NOT NULL,
            sequence INTEGER NOT NULL,
            document TEXT NOT NULL,
            PRIMARY KEY (fault_id, number)
        ) STRICT""",
        """CREATE TABLE fault (
            fault_id TEXT PRIMARY KEY,
            number INTEGER NOT NULL,
            state TEXT NOT NULL,
            opened_ns INTEGER NOT NULL,
            ended_ns INTEGER
        ) STRICT""",
        "CREATE INDEX fault_by_end ON fault (ended_ns) WHERE ended_ns IS NOT NULL",
        "ALTER TABLE alarm ADD COLUMN cleared_ns INTEGER",
        "CREATE INDEX fault_by_state ON fault (state, opened_ns)",
        "ALTER TABLE audit ADD COLUMN facts TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX audit_by_time ON audit (at_ns)",
        # What is older than this fact may leave the audit trail; nothing else may, and nothing may change.
        "INSERT OR IGNORE INTO meta VALUES ('audit_kept_from_ns', 0)",
        """CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
            BEGIN SELECT RAISE (ABORT, 'the audit trail is append-only'); END""",
        """CREATE TRIGGER audit_is_kept BEFORE DELETE ON audit
            WHEN OLD.at_ns >= (SELECT value FROM meta WHERE name = 'audit_kept_from_ns')
            BEGIN SELECT RAISE (ABORT, 'the audit trail is append-only'); END""",
    ),
    (
        """CREATE TABLE notice (
            recipient TEXT NOT NULL,
            alarm_id TEXT NOT NULL,
            manner TEXT NOT NULL,
            at_ns INTEGER NOT NULL,
            first_key TEXT,
            first_ns INTEGER,
            last_key TEXT,
            last_ns INTEGER,
            waiting INTEGER NOT NULL,
            over INTEGER NOT NULL,
            PRIMARY KEY (recipient, alarm_id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX notice_by_time ON notice (recipient, at_ns)",
        "CREATE INDEX outbox_by_alarm ON outbox (alarm_id, id)",
    ),
)
"""``MIGRATIONS[v]`` brings a file of version v to v + 1; an empty file is of version 0."""

SCHEMA_VERSION: Final = len(MIGRATIONS)
