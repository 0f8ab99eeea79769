"""What operators allow: policy files read, laid over each other, and everything held against them.

model.py   rules with their places, files, and how several files are one policy
words.py   what a rule's word may be in each section
read.py    a file to its rules, every complaint with its place
judge.py   which rules refuse an extension, a source, a network, a limit
engines.py which rules refuse an engine or an image: known once the engine answers
"""

from containerdeploy.policy.engines import Place as Place
from containerdeploy.policy.engines import refuse_place as refuse_place
from containerdeploy.policy.judge import extension as extension
from containerdeploy.policy.judge import isolation as isolation
from containerdeploy.policy.judge import limit as limit
from containerdeploy.policy.judge import network as network
from containerdeploy.policy.judge import parameter as parameter
from containerdeploy.policy.judge import source as source
from containerdeploy.policy.judge import wants_digests as wants_digests
from containerdeploy.policy.model import GRANTS as GRANTS
from containerdeploy.policy.model import LIMITS as LIMITS
from containerdeploy.policy.model import Devices as Devices
from containerdeploy.policy.model import Grant as Grant
from containerdeploy.policy.model import LimitName as LimitName
from containerdeploy.policy.model import Policy as Policy
from containerdeploy.policy.model import PolicyFile as PolicyFile
from containerdeploy.policy.model import refuse as refuse
from containerdeploy.policy.read import load as load
from containerdeploy.policy.read import read_policy as read_policy
