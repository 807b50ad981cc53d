# needs: jq
