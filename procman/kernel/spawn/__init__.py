"""From a Launch to a process: both ways of starting one, and what it finds when it begins. It ends nobody."""
