"""state: what the followers know, in one SQLite file.

In: cursors, snapshots, transitions, outbox rows, rejects. Out: the same, in one transaction or after a
crash. Never decides anything about them, and holds no readings.
"""
