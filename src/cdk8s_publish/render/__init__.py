"""Turn cdk8s apps into rendered manifests."""
