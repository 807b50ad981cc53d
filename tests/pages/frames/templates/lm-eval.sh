# needs: torch module:lm_eval
# A lab.
labctl init
