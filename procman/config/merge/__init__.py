"""Many files to one document: includes, overlays, `--set`, variables and env files."""
