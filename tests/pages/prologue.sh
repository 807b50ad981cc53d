# What each page's shell begins with. $PAGE_PARTS holds the page's blocks as files; output goes to fd 8 with marks of lines.
exec 8>&1
set -o pipefail
__expected='' __last='' __met=''

__line() { printf '\036%s\n' "$1" >&8; }

__failed() {  # CODE LINE: every command that failed comes by
    if [ -n "$__expected" ] && [ "$1" = "$__expected" ] && [ "$2" -ge "$__last" ]; then
        __met=1
        return 0
    fi
    printf '\036failed %s %s\n' "$1" "$2" >&8
    exit 99
}

__expect() { __expected=$1 __last=$2 __met=''; }

__expected_was_met() {  # LINE
    if [ -z "$__met" ]; then
        printf '\036failed 0 %s\n' "$1" >&8
        exit 99
    fi
    __expected=''
}

__write() {  # PART NAME
    local name=${2/#\~/$HOME}
    mkdir -p -- "$(dirname -- "$name")" && cp -- "$PAGE_PARTS/$1" "$name"
}

__put_into() { python3 "$PAGE_TESTS/merged.py" "$PAGE_PARTS/$1" "${2/#\~/$HOME}"; }

__terminal() {  # PART: a second terminal in the same folder; the page goes on once it has said something
    local log="$PAGE_PARTS/$1.log" pid
    : > "$log"
    bash -o pipefail "$PAGE_PARTS/$1" < /dev/null > "$log" 2>&1 8>&- &
    pid=$!
    disown "$pid"
    for _ in $(seq ${2:-1200}); do  # it is there once it says so; one that says nothing is not waited for
        [ ! -s "$log" ] && kill -0 "$pid" 2> /dev/null || break
        sleep 0.05
    done
    cat "$log"
}


# What frames call.

from_checkout() {  # copy what git follows in the checkout, or a part of it, to where we are
    git -C "$LABCTL_CHECKOUT" ls-files -z --cached --others --exclude-standard -- "$@" |
        (cd "$LABCTL_CHECKOUT" && tar --create --null --files-from=- --ignore-failed-read 2> /dev/null) | tar --extract
}

repository() {  # FOLDER [FILE...]: everything in it, committed
    git -C "$1" init -q && git -C "$1" add --all && git -C "$1" -c user.name=ann -c user.email=ann@example.org commit -q -m 'as it is'
}

sweep_of() {  # ID RUNS [LINE...]: an experiment with a learning rate to find, and runs of it; more lines for its SPEC
    local id=$1 runs=$2
    shift 2
    [ -d lab-data ] || labctl init
    printf '%s\n' "id: $id" 'metric: loss' 'metric_direction: minimize' 'seed: 1' 'strategy: random' \
        'executor_command: awk "BEGIN { print \"METRIC loss=\" ({params.lr} - 0.01)^2 }"' \
        'search_space: {lr: {low: 0.001, high: 0.1, log: true, default: 0.05}}' "$@" > "$id.yaml"
    labctl create "$id.yaml" || return
    rm "$id.yaml"
    [ "$runs" = 0 ] || labctl burst "$id" -n "$runs"
}

trap '__failed "$?" "$LINENO"' ERR
trap '__line "$LINENO"' DEBUG
