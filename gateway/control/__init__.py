"""In: queries and orders as JSON lines over one 0600 socket in the data directory.
Out: one JSON answer each, from handlers that ``app`` hands in.
Never decides anything itself, and never listens on a network address."""
