"""ingest: MQTT from the broker to durable blocks. In: the broker's bytes. Out: ``Arrival``, ``SessionEvent``.

A message is acknowledged only after ``commit`` said it is durable, in order, on the connection it came on.
Never looks into a payload, never publishes to a device topic, never drops in silence.
"""
