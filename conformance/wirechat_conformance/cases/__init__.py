"""The cases that are more than a transcript can hold."""
