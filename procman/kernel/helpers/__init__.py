"""The helpers, from the core's side: procman's own exec'd children, which are replaced when they fail."""
