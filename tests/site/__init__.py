"""Whole sites with real processes: what a user sees from the outside, one behaviour a test."""
