"""What a step's layer depends on, and how it is found again; changes nothing.

inputs.py   all that one step depends on, as names and texts; its digest; the difference in words
chain.py    the ids of layers: a layer's is made from its parent's
views.py    what of the definitions a step sees, as entries with fingerprints
layer.py    what is recorded of a layer, and of the place that it was made for
evicted.py  what housekeeping took out of the store, when and why

Standard library only: the agent imports this room too. It makes and finds layers by the same rules
by which the controller tells beforehand what will be found.
"""

from containerdeploy.cache.chain import after as after
from containerdeploy.cache.chain import beginning as beginning
from containerdeploy.cache.chain import made as made
from containerdeploy.cache.evicted import EVICTED as EVICTED
from containerdeploy.cache.evicted import Evicted as Evicted
from containerdeploy.cache.evicted import read_evicted as read_evicted
from containerdeploy.cache.inputs import Inputs as Inputs
from containerdeploy.cache.inputs import difference as difference
from containerdeploy.cache.inputs import recipe as recipe
from containerdeploy.cache.layer import LayerInfo as LayerInfo
from containerdeploy.cache.layer import PlaceInfo as PlaceInfo
from containerdeploy.cache.layer import read_layer as read_layer
from containerdeploy.cache.layer import read_place as read_place
from containerdeploy.cache.layer import slot as slot
from containerdeploy.cache.views import Entry as Entry
from containerdeploy.cache.views import fingerprint as fingerprint
from containerdeploy.cache.views import times as times
from containerdeploy.cache.views import visible as visible
