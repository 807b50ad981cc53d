# needs: slurm
# here: partition: gpu is partition: main
# here: memory: 32G is memory: 1G
# An experiment of the class that the page tells of.
sweep_of lr-sweep 0 'executor_class: gpu'
