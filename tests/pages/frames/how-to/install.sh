# The reader stands in a checkout, and has a lab.
from_checkout scripts/labctl.py lab pyproject.toml
labctl init
