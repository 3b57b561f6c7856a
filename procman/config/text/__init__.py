"""What is written, and where: files, their text, the place of each value, and problems shown at their places."""
