# Sourced by tests/run and .ci/run: how tests are counted and told. Needs $logs, a folder.
passed=0 failed=0 skipped=0

say() { printf '%s\n' "$*"; }

# step NAME COMMAND…: one test; its output is shown only if it fails.
step() {
    local name=$1 log=$logs/$1.log began=$SECONDS
    shift
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        say "ok   $name ($((SECONDS - began)) s)"
    else
        failed=$((failed + 1))
        say "FAIL $name ($((SECONDS - began)) s); $log ends:"
        tail -n 40 "$log" | sed 's/^/     /'
        return 1
    fi
}

# counts NAME COMMAND…: many tests; shows their lines and adds up the last one, `N passed, N failed[, N skipped]`.
counts() {
    local log=$logs/$1.log name=$1 last
    shift
    "$@" 2>&1 | tee "$log" | grep -v --line-buffered '^[0-9]* passed, [0-9]* failed'
    last=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "$log" | tail -n 1)
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed(,\ ([0-9]+)\ skipped)?$ ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
    else
        failed=$((failed + 1))
        say "FAIL $name ended without a result"
    fi
}

# skip NAME REASON
skip() {
    skipped=$((skipped + 1))
    say "SKIPPED $1: $2"
}

# The closing line, alone; the exit code of the whole.
closing() {
    say "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" -eq 0 ]
}
