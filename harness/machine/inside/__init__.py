"""Scripts that run inside the crashed system, through its shell, and what they tell."""
