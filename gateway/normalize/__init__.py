"""In: columns of raw numbers as sent. Out: readings in canonical units, a quality per value, a time to store.

Never touches a socket or a clock, never loops over readings, never throws a value away without a quality.
"""
