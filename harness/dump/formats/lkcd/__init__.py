"""LKCD, the format of zfcpdump 1."""
