#!/usr/bin/env bash
# Measures all that is worth knowing of a GPU in about eight minutes: whether its numbers are right, its peaks, every kernel's
# share of them, and training steps, with PyTorch on CUDA beside them where Python has that; what tiles of products are worth
# that were measured, before and after.
#
#   benches/gpu.sh [--tiny] [FOLDER]
#
# FOLDER (target/gpu) gets the output of each job as it ends, report.md (a table) and report.json (all of it), so a run that is
# cut off leaves what it has. --tiny takes batches of two images and few kernels: to try the script on software
# Vulkan, where figures say nothing. Exit status 1 when a job fails.
#
# Environment:
#   WGPU_ADAPTER_NAME   part of the name of the adapter to measure, where there are several, or a software one
#   PYTHON              the Python that may have PyTorch with CUDA (python3)
#   PROFILE             how cargo builds what is measured (release); dev builds faster, and hands work over more slowly
#   MINUTES             jobs that have not begun after so many minutes, builds not counted, are left out (8)
set -uo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
PROFILE=${PROFILE:-release}
MINUTES=${MINUTES:-8}
tiny=
steps=50
folder=${CARGO_TARGET_DIR:-target}/gpu
for argument; do
    case $argument in
    --tiny) tiny=1 steps=1 ;;
    -*) echo "gpu.sh: there is no flag '$argument', expected --tiny or a folder" >&2 && exit 2 ;;
    *) folder=$argument ;;
    esac
done
[[ $MINUTES =~ ^[1-9][0-9]*$ ]] || { echo "gpu.sh: MINUTES is '$MINUTES', expected a whole number of minutes" >&2 && exit 2; }
if [ -e "$folder" ] && [ ! -e "$folder/jobs.tsv" ] && [ -n "$(ls -A "$folder")" ]; then
    echo "gpu.sh: $folder holds other things than an earlier report; name a new folder" >&2
    exit 2
fi
export PYTHONDONTWRITEBYTECODE=1 REQUIRE_GPU=1

cargo build --profile "$PROFILE" -p gan-mnist -p gannet-benches --bins || exit 2
cargo bench --profile "$PROFILE" --no-run -p gannet-benches --bench kernels || exit 2
cargo test --no-run -p gannet-backend-tests --test gpu || exit 2

rm -rf "$folder"
mkdir -p "$folder"
: >"$folder/jobs.tsv"
# Nothing that an earlier run has kept: neither compiled shaders nor measured tiles.
GANNET_CACHE=$(cd "$folder" && pwd)/cache
export GANNET_CACHE
unset GANNET_TILES
deadline=$((SECONDS + 60 * MINUTES))
failures=0

report() {
    cargo run --profile "$PROFILE" --quiet -p gannet-benches --bin gpu-report -- "$folder"
}
# A run that is stopped has its report too.
trap 'report >/dev/null; exit 130' INT TERM

# job NAME SECONDS COMMAND…: its output goes to NAME.txt, its line into jobs.tsv, and the report is made again.
job() {
    local name=$1 limit=$2 status began=$SECONDS
    shift 2
    if ((SECONDS >= deadline)); then
        printf '%s\tleft out\t0\t%s\n' "$name" "$*" >>"$folder/jobs.tsv"
        return
    fi
    echo "gpu.sh: $name" >&2
    timeout "$limit" "$@" >"$folder/$name.txt" 2>"$folder/$name.err"
    status=$?
    [ -s "$folder/$name.err" ] || rm -f "$folder/$name.err"
    if ((status != 0)); then
        failures=$((failures + 1))
        echo "gpu.sh: $name failed with exit status $status: $*" >&2
        tail -n 5 "$folder/$name.err" >&2
    fi
    printf '%s\t%s\t%s\t%s\n' "$name" "$status" $((SECONDS - began)) "$*" >>"$folder/jobs.tsv"
    report >/dev/null
}

gan_mnist() { # NAME SECONDS ARGUMENTS…
    local name=$1 limit=$2
    shift 2
    job "$name" "$limit" cargo run --profile "$PROFILE" --quiet -p gan-mnist -- "$@"
}

# step NAME BATCH_SIZE ARGUMENTS…
step() {
    local name=$1 batch_size=$2
    shift 2
    gan_mnist "step-$name-$batch_size" 60 bench --device gpu --json --steps "$steps" --batch-size "$batch_size" "$@"
}

# tuned NAME BATCH_SIZE ARGUMENTS…: which tiles are best for a model, and its steps in those. What is measured is kept apart, so
# that other jobs follow the rule.
tuned() {
    local name=$1 batch_size=$2
    local -x GANNET_CACHE=$GANNET_CACHE/$name
    shift 2
    gan_mnist "tune-$name-$batch_size" 60 tune --device gpu --batch-size "$batch_size" "$@"
    step "$name-tuned" "$batch_size" "$@"
}

torch() { # NAME BATCH_SIZE FILE.toml MODES…
    local name=$1 batch_size=$2 model=$3
    shift 3
    [ -n "$cuda" ] || return 0
    job "torch-$name-$batch_size" 120 "$PYTHON" benches/peers/model_torch_cuda.py \
        --model "$model" --batch-size "$batch_size" --steps 50 --warmup 5 --modes "$@"
}

cuda=
if "$PYTHON" -c 'import torch; assert torch.cuda.is_available()' 2>/dev/null; then
    cuda=1
else
    echo "gpu.sh: $PYTHON has no PyTorch that finds a CUDA GPU: no figures of it" >&2
fi
networks=benches/peers/networks
dcgan=$folder/dcgan.toml
cargo run --profile "$PROFILE" --quiet -p gan-mnist -- presets dcgan >"$dcgan"

presets=(dcgan cdcgan wgan-gp)
batch_sizes=(128 32 512)
tiles=(vec4 tall large)
kernels=(gpu)
tests=()
profiled=128
wide=32
if [ -n "$tiny" ]; then
    presets=(dcgan)
    batch_sizes=(2)
    tiles=(large)
    kernels=(gpu "758000 parameters")
    tests=(adapter)
    profiled=2
    wide=2
fi

gan_mnist devices 60 devices
for preset in "${presets[@]}"; do
    gan_mnist "verify-$preset" 120 verify --device gpu --preset "$preset" --steps 1 --batch-size 2
done
for batch_size in "${batch_sizes[@]}"; do
    step dcgan "$batch_size" --preset dcgan
done
torch dcgan 128 "$dcgan" eager graph eager-channels-last graph-channels-last compile \
    graph-tf32-channels-last graph-bf16-channels-last
tuned dcgan "$profiled" --preset dcgan
gan_mnist profile-dcgan 60 bench --device gpu --profile --preset dcgan --steps "$steps" --batch-size "$profiled"
job kernels 120 cargo bench --profile "$PROFILE" --quiet -p gannet-benches --bench kernels -- "${kernels[@]}"
if [ -z "$tiny" ]; then
    step cdcgan 32 --preset cdcgan
    step wgan-gp 64 --preset wgan-gp
    for name in dcgan-64 upsampling-128 residual-64; do
        step "$name" 32 --model "$networks/$name.toml"
        tuned "$name" 32 --model "$networks/$name.toml"
        torch "$name" 32 "$networks/$name.toml" eager graph graph-channels-last compile-channels-last \
            graph-tf32-channels-last graph-bf16-channels-last
    done
fi
# What each of the larger tiles is worth, wherever it can be used.
for tile in "${tiles[@]}"; do
    GANNET_TILES=$tile step "dcgan-64-tiles-$tile" "$wide" --model "$networks/dcgan-64.toml"
done
job tests 180 cargo test --quiet -p gannet-backend-tests --test gpu -- ${tests[@]+"${tests[@]}"}

report || failures=$((failures + 1))
((failures == 0))
