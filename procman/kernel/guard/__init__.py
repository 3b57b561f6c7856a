"""The guard: ends the site if the core is gone. A process of its own, and its half in the core."""
