"""Random histories and small worlds, driven through the shipped loop under a virtual clock, and their checkers."""
