"""Rules by their names, what they found, and who lets that pass."""
