# needs: module:sklearn
from_checkout examples/tune-sklearn
