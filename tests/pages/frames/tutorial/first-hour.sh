# The reader stands in a checkout in which scripts/quickstart was typed.
from_checkout examples/optimize-function
labctl init
labctl create examples/optimize-function
labctl burst optimize-rosenbrock -n 3
