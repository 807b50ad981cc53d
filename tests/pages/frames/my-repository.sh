# A repository whose one number follows from a line of code, a script that proposes changes, and one that measures.
mkdir -p ../my-repository/src ../my-repository/tests
echo 'WORK = 9' > ../my-repository/src/work.py
echo 'from src.work import WORK' > ../my-repository/tests/test_work.py
echo 'def test_it_works(): assert WORK >= 0' >> ../my-repository/tests/test_work.py
printf '%s\n' 'import subprocess, sys' \
    'said = subprocess.check_output([sys.executable, "-c", "from src.work import WORK; print(WORK)"], text=True)' \
    'print(f"METRIC seconds={float(said) / 100}")' > ../my-repository/bench.py
printf '%s\n' 'import re' 'text = open("src/work.py").read()' \
    'open("src/work.py", "w").write(re.sub(r"\d+", lambda it: str(max(1, int(it[0]) - 1)), text))' \
    > ../my-repository/propose.py
repository ../my-repository
