"""Run git, understand what it says, and know its names and addresses."""
