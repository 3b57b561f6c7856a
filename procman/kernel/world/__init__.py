"""The made-up world: the same protocol as the real machine's, under a virtual clock, for the simulator."""
