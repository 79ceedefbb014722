"""Run other people's programs, confined."""
