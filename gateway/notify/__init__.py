"""In: transitions of alarms, and rows of the outbox as they fall due.
Out: CloudEvents, CAP alerts and retained states at the city's operations centre (IOC), each told until it is
taken. Never decides what is an alarm.
"""
