from lab.guests.fixtures import tiny

__all__ = ["tiny"]
