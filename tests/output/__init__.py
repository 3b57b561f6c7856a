"""The pump and its parts."""
