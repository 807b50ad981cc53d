# A lab, a repository, one that another harness worked in, and `codex` as a double.
labctl init
. "$PAGE_TESTS/frames/my-repository.sh"
cp -r ../my-repository ../their-repository
echo 'python3 bench.py' > ../their-repository/autoresearch.sh
echo '# What we are after' > ../their-repository/autoresearch.md
echo '{"type": "config", "metricName": "seconds", "bestDirection": "lower"}' > ../their-repository/autoresearch.jsonl
repository ../their-repository
cp -r ../my-repository ../for-an-agent
cp -r ../my-repository ../by-hand
