"""The built-in extensions: executables with a sidecar each, put into the helper, never imported."""
