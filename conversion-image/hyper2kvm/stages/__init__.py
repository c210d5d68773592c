"""The six stages. Each is a function from documents to a document; pipeline.py runs them in order."""
