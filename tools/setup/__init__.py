"""What the commands need, set up inside the clone. Only the standard library: it runs before anything is installed."""
