"""A conformance suite for servers of the chat wire protocol, version 0."""
