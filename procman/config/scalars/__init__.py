"""Single values as people write them, and what each option accepts. Knows no table of the file."""
