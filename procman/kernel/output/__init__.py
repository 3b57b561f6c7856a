"""Where workers' output goes, from the core's side: their streams, and the pump that reads those that are captured."""
