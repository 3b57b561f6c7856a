"""The control socket: how an operator, from another process, talks to a site that runs.

`protocol` is the language, `server.py` the core's end, `client.py` the other, `place.py` where they meet.
"""
