"""What the core waits for: descriptors, calls at a later time, signals. It looks at no process and starts none."""
