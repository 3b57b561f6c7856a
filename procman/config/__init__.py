"""What the user writes: TOML files to a validated `Site` to a `Plan`. Runs in the loader, never in the core."""
