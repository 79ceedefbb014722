"""CI products: everything that knows a product's variables, log commands or files. Straight code for each."""
