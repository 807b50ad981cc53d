# needs: torch module:lm_eval
# A second model, where that of a training would be.
labctl tinker make-tiny mine-merged
