"""Programs as people have them, for zygotes and for commands: a web service, a job, a consumer of a queue."""
