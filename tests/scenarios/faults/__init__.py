"""The fault matrix: real runs on a real cluster, each disturbed in one way, judged by who only watches."""
