"""The real kernel with real processes; each scene plays in an interpreter of its own."""
