# needs: module:pandas
