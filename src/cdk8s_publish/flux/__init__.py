"""Everything that knows Flux."""
