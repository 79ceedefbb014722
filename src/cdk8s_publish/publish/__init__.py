"""Move a target to what was rendered, without losing anybody's update."""
