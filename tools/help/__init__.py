"""The pictures of the help pages: what goes into each node and what comes out of it."""
