"""Tools for people who look at the traffic of the chat wire protocol."""
