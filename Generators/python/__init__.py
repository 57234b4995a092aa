"""Makes the Python SDK's generated code from the .proto files."""
