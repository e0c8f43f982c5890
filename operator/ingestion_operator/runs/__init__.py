"""Run records, from Jobs and pods, and the policies for runs; pure functions."""
