"""Forking the program that procman is called from: the policy of a site over `os.fork`, in the caller's own process.

Begin with `fork_processes.py`. Nothing here is imported by procman's core.
"""
