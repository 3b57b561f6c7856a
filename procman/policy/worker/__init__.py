"""One worker: its states and what one run of it is like. It knows of no group."""
