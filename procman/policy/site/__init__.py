"""The site as a whole: which plan is in force, what operators want, in which order groups come and go, how it ends."""
