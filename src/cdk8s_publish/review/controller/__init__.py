"""What a controller makes of a branch: which files it reads, which documents it applies, and what is odd about that."""
