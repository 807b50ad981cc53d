# needs: slurm
from_checkout examples/slurm-sweep
