"""YAML as its author wrote it: nodes with places, and all complaints about a file at once.

nodes.py       what a file consists of: scalars, lists, mappings, each with its place
parse.py       text to nodes; bounded, whatever the file holds
text.py        nodes to the text that a parameter's value is
fields.py      a mapping read field by field, with complaints that help
quantities.py  durations and sizes as people write them
edit.py        changes to a text that leave the rest of it as it is
"""

from containerdeploy.document.edit import Edits as Edits
from containerdeploy.document.edit import plain as plain
from containerdeploy.document.fields import Complaints as Complaints
from containerdeploy.document.fields import Fields as Fields
from containerdeploy.document.fields import did_you_mean as did_you_mean
from containerdeploy.document.nodes import ListNode as ListNode
from containerdeploy.document.nodes import MappingNode as MappingNode
from containerdeploy.document.nodes import Node as Node
from containerdeploy.document.nodes import Place as Place
from containerdeploy.document.nodes import Scalar as Scalar
from containerdeploy.document.nodes import describe as describe
from containerdeploy.document.nodes import flaws as flaws
from containerdeploy.document.nodes import shown as shown
from containerdeploy.document.parse import parse as parse
from containerdeploy.document.parse import read as read
from containerdeploy.document.text import as_text as as_text
