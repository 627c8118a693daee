"""In: parsed arguments of one command. Out: what it prints, and its exit code.
One module a family; the only place beside ``cli`` that may import ``simulators``.
Never parses arguments and never holds logic that a running gateway needs."""
