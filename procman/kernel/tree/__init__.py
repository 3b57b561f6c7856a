"""A worker is all that descends from its leader: who is of it, who hears a signal, and when nothing of it is left."""
