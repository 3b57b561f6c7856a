"""The event log: what its lines hold, and how they get out."""
