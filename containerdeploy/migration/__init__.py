"""Old definitions to the native form, beside them: systems with sources, sidecars, a report.

model.py    what is learned of extensions, and what the report holds
shell.py    what a shell script reads and calls
python.py   what a Python program, of whichever version, reads, calls and imports
sight.py    an extension's text, in whichever language, to what was seen
demands.py  what the programs that an extension calls ask for
survey.py   which extensions the tree's clusters use, and what they give them
guess.py    what was seen to a sidecar and to remarks
systems.py  which source and which image the systems need
rewrite.py  clusters and systems: the old text with as little changed as can be
proof.py    that the native form plans as the old one, before anything is written
place.py    files to their places, all or none
work.py     the whole of it
"""

from containerdeploy.migration.model import Part as Part
from containerdeploy.migration.model import Remark as Remark
from containerdeploy.migration.model import Report as Report
from containerdeploy.migration.work import Order as Order
from containerdeploy.migration.work import migrate as migrate
