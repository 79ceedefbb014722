"""Read manifests, hold them against the rules, and say what a publish would change."""
