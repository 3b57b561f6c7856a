"""procman's own processes as the policy sees them: which are wanted, and what is owed to their absence."""
