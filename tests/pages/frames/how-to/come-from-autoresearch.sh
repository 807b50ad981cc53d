# Two repositories in which other harnesses worked: one with a table, one with a script that measures.
. "$PAGE_TESTS/frames/my-repository.sh"
cp -r ../my-repository ../their-repository
printf '%s\n' 'python3 - <<PYTHON' 'from src.work import WORK' 'print(f"METRIC total_ms={WORK * 100}")' PYTHON \
    > ../their-repository/autoresearch.sh
repository ../their-repository
mkdir ../their-training
echo 'print("METRIC val_bpb=0.99")' > ../their-training/train.py
echo 'open("train.py", "a").write("# again\n")' > ../their-training/propose.py
printf 'commit\tval_bpb\tmemory_gb\tstatus\tdescription\n' > ../their-training/results.tsv
printf '%s\t%s\t%s\t%s\t%s\n' a1b2c3d 0.997900 44.0 keep baseline b2c3d4e 0.993200 44.2 keep 'increase LR to 0.04' \
    c3d4e5f 1.005000 44.0 discard 'switch to GeLU activation' d4e5f6g 0.000000 0.0 crash 'double model width (OOM)' \
    >> ../their-training/results.tsv
repository ../their-training
