"""Definitions: YAML to a frozen model, every complaint with file:line:column.

model.py    what clusters and systems hold
cluster.py  a cluster file's node to a Cluster
system.py   a system file's node to a System
root.py     where definitions begin, and what lies in them
load.py     a cluster file and the systems it names, read and checked
version.py  what `git describe` says of the definitions
"""

from containerdeploy.definition.load import load as load
from containerdeploy.definition.model import Cluster as Cluster
from containerdeploy.definition.model import Components as Components
from containerdeploy.definition.model import Deployment as Deployment
from containerdeploy.definition.model import ExtensionUse as ExtensionUse
from containerdeploy.definition.model import Setting as Setting
from containerdeploy.definition.model import SourceSpec as SourceSpec
from containerdeploy.definition.model import System as System
from containerdeploy.definition.model import SystemEntry as SystemEntry
from containerdeploy.definition.root import find_cluster as find_cluster
from containerdeploy.definition.root import find_root as find_root
from containerdeploy.definition.version import describe_version as describe_version
