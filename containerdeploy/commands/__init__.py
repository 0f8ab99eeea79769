"""The verbs of the command line, one a file: arguments, one call, exit code."""
