"""What is wrong with a document beyond single values, each a problem with its place and a hint."""
