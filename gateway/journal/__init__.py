"""journal: what has come from the field is written down here before anyone thinks about it.

In: payloads of records (arrivals, session events, ticks, control). Out: the same records, durable, in one
gap-free sequence. Never interprets a reading, never drops a record in silence.
"""
