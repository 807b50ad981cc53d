# A lab with runs, and a copy of it; both went on.
sweep_of lr-sweep 3
mkdir -p ~/copy
cp -a lab-data ~/copy/
labctl burst lr-sweep -n 2
labctl --data-root ~/copy/lab-data burst lr-sweep -n 2
