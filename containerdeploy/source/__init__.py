"""What a system is made from: found, told by its first bytes, digested; unpacking is the agent's.

locate.py   which archive a system is made from, first match wins
archive.py  what the first bytes say: compression, and whether it is a tar archive
digest.py   the SHA-256 of an archive, remembered
"""

from containerdeploy.source.archive import Compression as Compression
from containerdeploy.source.archive import compression as compression
from containerdeploy.source.digest import digest as digest
from containerdeploy.source.locate import Located as Located
from containerdeploy.source.locate import NotFound as NotFound
from containerdeploy.source.locate import locate as locate
from containerdeploy.source.locate import locate_component as locate_component
