#!/bin/bash
# A tour in five steps, on a copy of etc/agent/sample: see `make run` in the README.
# RUN_SECONDS=n ends it n seconds after its start (but never in the middle of the tour); else Ctrl-C does.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bin=$root/.build/release
started=$SECONDS

dir=$(mktemp -d "${TMPDIR:-/tmp}/config-agent-demo.XXXXXX")
run=$dir/run
pids=()
outcome=failed

say() { printf '%s\n' "$*"; }
step() { printf '\n%s\n' "$*"; }
ctl() { timeout 10 "$bin/agentctl" --runtime-dir "$run" "$@"; }

stop_all() {
    trap - EXIT INT TERM HUP
    local pid
    for pid in "${pids[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${pids[@]}"; do
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -KILL "$pid" 2>/dev/null || true
    done
    wait 2>/dev/null || true
    if [ "$outcome" = failed ]; then
        say ""
        say "The demo failed. The agent's last words, of $dir/agent.log:"
        tail -n 20 "$dir/agent.log" 2>/dev/null | sed 's/^/    /' || true
        say "Its directory was kept: $dir"
        exit 1
    fi
    rm -rf "$dir"
    say "Stopped; $dir is removed."
    exit 0
}
trap stop_all EXIT
trap 'outcome=interrupted; stop_all' INT TERM HUP

# await SECONDS WHAT COMMAND...: repeats the command until it succeeds; the demo fails when it does not in time.
await() {
    local deadline=$((SECONDS + $1)) what=$2 pid
    shift 2
    until "$@" >/dev/null 2>&1; do
        for pid in "${pids[@]}"; do
            kill -0 "$pid" 2>/dev/null || { say "A program ended while waiting for $what."; exit 1; }
        done
        if [ $SECONDS -ge $deadline ]; then say "Gave up waiting for $what."; exit 1; fi
        sleep 0.05
    done
}
now_ms() { local now=${EPOCHREALTIME/[.,]/}; echo $((now / 1000)); }
indent() { sed 's/^/    /'; }

step "[1/5] An origin and an agent, working on a copy of etc/agent/sample in $dir"
cp "$root"/etc/agent/sample/* "$dir/"
mkdir -m 700 "$run" "$dir/state"
"$bin/sample-origin" --directory "$dir" --port 0 --port-file "$dir/port" >"$dir/origin.log" 2>&1 </dev/null &
pids+=($!)
await 10 "the origin" test -s "$dir/port"
port=$(tr -d '[:space:]' <"$dir/port")
sed -i "s|@DIR@|$dir|g; s|@PORT@|$port|g" "$dir/agent.yaml"
began=$(now_ms)
"$bin/agentd" --config "$dir/agent.yaml" >"$dir/agent.log" 2>&1 </dev/null &
agent=$!
pids+=("$agent")
await 15 "the agent to be healthy" ctl status
say "    origin: http://127.0.0.1:$port/app.json"
say "    agent:  process $agent, healthy after $(($(now_ms) - began)) ms"

step "[2/5] A value, as a service would read it: agentctl get greeting"
before=$(ctl get greeting)
say "    $before"

step "[3/5] Now app.json is edited at the origin; the agent asks it once a second"
sed 's/hello, world/good morning, world/' "$dir/app.json" >"$dir/.app.json.new"
mv "$dir/.app.json.new" "$dir/app.json"
began=$(now_ms)
changed() { local value; value=$(ctl get greeting) && [ -n "$value" ] && [ "$value" != "$before" ]; }
await 15 "the change" changed
elapsed=$(($(now_ms) - began))
say "    before: $before"
say "    after:  $(ctl get greeting)   (seen after $elapsed ms)"

step "[4/5] How is it doing? agentctl status"
{ ctl status || true; } | indent

step "[5/5] Contention: 64 callers at once, until a thread had to wait for a lock"
contended() { grep -m1 -E 'waited [0-9]+ .*for lock' "$dir/agent.log"; }
deadline=$((SECONDS + 30))
until contended >/dev/null; do
    if [ $SECONDS -ge $deadline ]; then
        say "    None was seen within 30 s. A machine with more cores is likelier to show one."
        break
    fi
    # What follows the # stays with curl: it only makes the addresses differ.
    timeout 10 curl -sS -Z --parallel-max 64 --unix-socket "$run/status.sock" -o /dev/null \
        "http://agent/v1/locks#[1-2000]" >/dev/null 2>&1 &
    reader=$!
    timeout 10 curl -sS -Z --parallel-max 64 --unix-socket "$run/control.sock" -X POST -o /dev/null \
        "http://agent/v1/refresh#[1-2000]" >/dev/null 2>&1 || true
    wait "$reader" || true
done
if contended >/dev/null; then
    say "    one record of $dir/agent.log:"
    # The message, and below it the fields that journald would keep apart.
    contended | sed 's/  AGENT_/\n  AGENT_/' | fold -s -w 108 | indent | indent
fi
say "    agentctl locks, the worst first:"
{ ctl locks || true; } | head -n 8 | indent | indent

cat <<TRY

Your turn. Edit either of these, and see the change arrive within a second or so:

    $dir/app.json
    $dir/defaults.yaml

    alias ctl='$bin/agentctl --runtime-dir $run'
    ctl watch greeting      ctl sources        ctl refresh        ctl doctor --config $dir/agent.yaml
    tail -f $dir/agent.log
TRY
outcome=done
if [ -n "${RUN_SECONDS:-}" ]; then
    left=$((RUN_SECONDS - (SECONDS - started)))
    [ "$left" -le 0 ] || { say ""; say "Running for another $left s."; }
    end=$((SECONDS + left))
else
    say ""
    say "Running until you press Ctrl-C; then everything is stopped and the directory removed."
    end=
fi
while [ -z "$end" ] || [ $SECONDS -lt "$end" ]; do
    if ! kill -0 "$agent" 2>/dev/null; then outcome=failed; say "The agent has ended."; exit 1; fi
    # In the background, so that a signal is handled at once.
    sleep 0.5 &
    wait $! || true
done
exit 0
