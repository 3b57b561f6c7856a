"""`fork_processes`: real programs that fork, each in a fresh interpreter with an alarm."""
