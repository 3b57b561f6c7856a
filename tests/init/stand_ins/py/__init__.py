"""What dumb-init's suite wants of the library `py`: pytest still carries that part."""

from _pytest._py import error as error
from _pytest._py import path as path
