#!/usr/bin/env bash
# Measures Gannet and its peers alternately on this machine and prints how many times faster which is.
#
#   python3 -m venv peers-venv && peers-venv/bin/pip install -r benches/peers/requirements.txt
#   PYTHON=peers-venv/bin/python benches/peers/run.sh
#
# Environment:
#   PYTHON   the Python that has requirements.txt installed (python3)
#   ROUNDS   how often all programs take their turn (3)
#   STEPS    timed steps of each program in each round, at least 10 (20)
#   THREADS  threads for everyone (2)
#   ISA      avx2 holds everyone to AVX2; unset, each takes the best that the machine has
#
# Every program runs in a process of its own, so that its peak memory is its own. Medians of one round each are
# reduced to their median. All lines stay in $CARGO_TARGET_DIR/peers.jsonl (or target/). Exit status 1 when a figure is
# missing. The machine has to be quiet: the peers' threads spin at barriers, so a core that something else takes now and
# then costs them several times what it costs us. The ratio of the minima stands beside that of the medians as a check.
set -uo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
ROUNDS=${ROUNDS:-3}
STEPS=${STEPS:-20}
THREADS=${THREADS:-2}
ISA=${ISA:-}
peers=benches/peers
lines=${CARGO_TARGET_DIR:-target}/peers.jsonl
export PYTHONDONTWRITEBYTECODE=1

fail() {
    echo "run.sh: $*" >&2
    exit 2
}

for name in ROUNDS STEPS THREADS; do
    [[ ${!name} =~ ^[1-9][0-9]*$ ]] || fail "$name is '${!name}', expected an integer of at least 1"
done
((STEPS >= 10)) || fail "STEPS is $STEPS, expected at least 10: a median of fewer says little"
case $ISA in
'') ;;
avx2)
    export GANNET_ISA=avx2
    # PyTorch's own kernels, oneDNN (PyTorch and TensorFlow), MKL (PyTorch), XLA.
    export ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
    export XLA_FLAGS="${XLA_FLAGS:-} --xla_cpu_max_isa=AVX2"
    ;;
*) fail "ISA is '$ISA', expected avx2, or nothing for the best that the machine has" ;;
esac
"$PYTHON" -c 'import keras, numpy, tensorflow, torch' 2>/dev/null ||
    fail "$PYTHON lacks the peers: $PYTHON -m pip install -r $peers/requirements.txt"

# Keeps the JSON lines that a command prints; a command that fails costs its row, not the run.
failures=0
measure() {
    echo "  $*" >&2
    if ! "$@" 2>"$lines.stderr" | grep '^{' >>"$lines"; then
        echo "run.sh: failed: $*" >&2
        tail -n 5 "$lines.stderr" >&2
        failures=$((failures + 1))
    fi
}

ours() { # PRESET BATCH_SIZE THREADS
    measure cargo run --release --quiet -p gan-mnist -- bench \
        --preset "$1" --batch-size "$2" --threads "$3" --steps "$STEPS" --device cpu --json
}

model() { # FILE.toml
    local mode
    for mode in eager eager-channels-last compile compile-channels-last bf16 bf16-channels-last; do
        [[ $mode == *-channels-last ]] || measure cargo run --release --quiet -p gan-mnist -- bench \
            --model "$1" --threads "$THREADS" --steps "$STEPS" --device cpu --json
        peer model_torch "$mode" --model "$1"
    done
}

peer() { # SCRIPT MODE [--batch-size BATCH_SIZE] [--model FILE.toml]
    local script=$1 mode=$2
    shift 2
    measure "$PYTHON" "$peers/$script.py" --modes "$mode" --threads "$THREADS" --steps "$STEPS" "$@"
}

cargo build --release --quiet -p gan-mnist || fail "gan-mnist does not build"
cargo bench --quiet --no-run -p gannet-benches || fail "gannet-benches does not build"
mkdir -p "$(dirname "$lines")"
: >"$lines"

for ((round = 1; round <= ROUNDS; round++)); do
    echo "round $round of $ROUNDS, load average $(uptime | sed 's/.*load average[s]*: //')" >&2
    for batch_size in 128 32; do
        ours dcgan $batch_size "$THREADS"
        peer reference_step_torch eager --batch-size $batch_size
        peer reference_step_torch eager-channels-last --batch-size $batch_size
        ours dcgan $batch_size "$THREADS"
        peer reference_step_torch compile --batch-size $batch_size
        peer reference_step_torch compile-channels-last --batch-size $batch_size
        peer reference_step_tensorflow function --batch-size $batch_size
        peer reference_step_tensorflow xla --batch-size $batch_size
    done
    ours cdcgan 32 "$THREADS"
    peer default_step_torch eager --batch-size 32
    peer default_step_torch eager-channels-last --batch-size 32
    peer default_step_torch compile --batch-size 32
    peer default_step_torch compile-channels-last --batch-size 32
    ours seed-dense 32 "$THREADS"
    peer seed_dense_keras loop --batch-size 32
    measure cargo bench --quiet -p gannet-benches --bench matmul -- --json --size 1024 --threads "$THREADS"
    peer matmul_torch matmul
    cargo run --release --quiet -p gan-mnist -- presets seed-conv >"$lines.seed-conv.toml"
    for network in "$lines.seed-conv.toml" "$peers"/networks/*.toml; do
        model "$network"
    done
    ((THREADS == 1)) || ours dcgan 128 1
done
rm -f "$lines.stderr" "$lines.seed-conv.toml"

"$PYTHON" "$peers/table.py" "$lines" --threads "$THREADS" --isa "${ISA:-best}" || failures=$((failures + 1))
((failures == 0))
