# A lab.
labctl init
