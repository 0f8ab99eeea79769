"""Where things lie inside a helper."""

# For the agent.
STORE = "/store"
DEFINITIONS = "/definitions"
SOURCES = "/sources"
OUTPUT = "/output"
NONCE = "/nonce"
# For an extension.
TREE = "/tree"
EXTENSIONS = "/extensions"
TMPDIR = "/var/tmp"
PARENT_TREE = "/parent"
LOOPS = "/loops"
LOOP_PROGRAMS = ("losetup", "mount", "umount")
