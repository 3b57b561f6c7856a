"""What tini's suite wants of the library `bitmap`."""


class BitMap:
    """A set of bit numbers."""

    def __init__(self, bits: list[int]) -> None:
        self.bits = bits

    @classmethod
    def fromstring(cls, text: str) -> "BitMap":
        """From binary digits, the highest first."""
        return cls([place for place, digit in enumerate(reversed(text)) if digit == "1"])

    def nonzero(self) -> list[int]:
        """The numbers that are in it."""
        return self.bits
