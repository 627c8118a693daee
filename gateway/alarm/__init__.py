"""In: normalized readings, ticks, session events and operators' acts, in journal order.
Out: transitions of alarms, a function of the journal and the configuration alone.
Never reads a clock, a file or a network, and never tells anybody: that is notify's work.
"""
