"""Other people's tools, asked what they think of a dump. Knows nothing of the emulated machine."""
