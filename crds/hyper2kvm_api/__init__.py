"""The API of hyper2kvm-operator: custom resources, the documents that its two planes exchange, and their rules.

Neither the operator nor the pipeline is imported here; both import this.
"""
