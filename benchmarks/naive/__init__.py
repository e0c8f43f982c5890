"""What the runner's image is compared with."""
