"""x."""
from .formats import *
from .table import EmbeddingTable
from .optim import RowAdamW
from .strategies import *
from .embedding import *
from .vocabulary import Vocabulary
