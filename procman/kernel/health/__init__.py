"""Whether workers are ready, well, and not too large: who asks them, and who hears what they say of themselves."""
