# needs: torch module:tokenizers
# here: python3 train.py is python3 train.py --budget 3steps
# The reader stands in the folder of the template; below it lies the copy that `create` would make.
. "$PAGE_TESTS/frames/tiny-training.sh"
cp gpu-training/*.* .
labctl init
