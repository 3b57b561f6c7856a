"""One group: its workers, its budget, and each way in which its workers change. It never looks at other groups."""
