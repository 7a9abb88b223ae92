"""Commands for the store: images, stored crashes, and what of them may go."""
