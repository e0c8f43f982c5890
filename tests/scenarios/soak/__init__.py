"""Hours of random use with faults, on a real API server, watched by an observer of its own: `make soak`."""
