# What `make demo` runs: a Kubernetes on this machine, the five models on it, their status, and how fast they answer.
# Not meant to be run by itself: make sets up the environment that WTSCTL points into.
set -euo pipefail
PATH="$(cd "$(dirname "$WTSCTL")" && pwd):$PATH"

say() { printf '\n%s\n' "$*"; }
run() { printf '\n$ %s\n' "$*"; "$@"; }

if [ "$(id -u)" != 0 ]; then
    say "Not root: this machine can run the sandbox's control plane but no pods, so nothing is served and" \
        "nothing is measured. For the whole demo, run 'sudo make demo'."
    run wtsctl sandbox up --no-node
    eval "$(wtsctl sandbox env)"
    run wtsctl deploy --profile sandbox --dry-run
    exit 0
fi

run wtsctl sandbox up --install-packages
eval "$(wtsctl sandbox env)"
run wtsctl deploy --profile sandbox
run wtsctl status --profile sandbox
run wtsctl smoke-test --profile sandbox

say 'The sandbox stays up. To use it from this shell:  eval "$('"$WTSCTL"' sandbox env)"'
say "To take the models away:  $WTSCTL delete --profile sandbox"
say "To remove the sandbox and everything it cached:  $WTSCTL sandbox down --purge"
