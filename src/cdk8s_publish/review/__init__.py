"""Read manifests, apply the rules to them, and say what a publish would change."""
