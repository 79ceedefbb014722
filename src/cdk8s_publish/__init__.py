"""Render a cdk8s app and publish the plain YAML to a branch that a GitOps controller watches."""

__version__ = "1.0.0"
