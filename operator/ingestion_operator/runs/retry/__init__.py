"""What follows a failed attempt: more memory, a replacement Job, or the end of the run. Pure."""
