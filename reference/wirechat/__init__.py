"""The reference implementation of the chat wire protocol, version 0."""
