"""What a user may ask for: declared once, read from text."""
