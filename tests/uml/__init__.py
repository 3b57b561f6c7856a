"""Tests inside user-mode Linux: a kernel of our own, with a pure cgroup v2 and all its controllers."""
