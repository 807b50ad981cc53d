# needs: git
# Where a release may go.
git init -q --bare release.git
