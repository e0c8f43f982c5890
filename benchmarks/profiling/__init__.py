"""Where operator and gateway spend their time and memory: `make profile`."""
