"""The git branch as the place that is published to."""
