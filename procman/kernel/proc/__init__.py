"""What this machine tells of processes, cgroups and descriptors, and what is asked of it as a whole."""
