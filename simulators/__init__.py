"""In: an inventory, device profiles, faults, a seed. Out: the messages such a city would send, and the truth.
A second implementation of what devices do: it shares no code with ingest, decode or the alarm rules.
Never reads a clock or the machine's randomness: one seed gives one run.
"""
