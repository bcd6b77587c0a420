import Foundation
import TestSupport
import Testing

/// A thread of a running agent is stopped while it holds a lock, as a debugger stops it, and so is one that waits for
/// it: what the operator sees afterwards must agree with what was done, wherever he looks.
@Suite("A lock that is held for long", .serialized, .enabled(if: mayBootContainers))
struct FrozenLockTests {
    /// What was done to the threads, by the watch of who did it.
    private struct Deed {
        /// What `agentctl` and `curl` said while the holder was stopped.
        var meanwhile: JSONValue
        /// From when the waiter was seen asleep until the holder went on.
        var held: Double
        /// From when the holder went on until the waiter was let go on, if that was stopped too.
        var waiterStopped: Double
        var waiter: Int
    }

    /// Stops `agent-worker-0` again and again until another thread sleeps for a mutex meanwhile; keeps it stopped for
    /// `hold` seconds from then on; lets it go on. With `wait`, stops the waiter too, and for so much longer.
    private static let freezer = """
        import ctypes, json, os, subprocess, sys, time
        process, hold, wait = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_ulong, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        CONT, SEIZE, INTERRUPT, WALL = 7, 0x4206, 0x4207, 0x40000000
        tasks = "/proc/%s/task/" % process

        def ptrace(request, task):
            assert libc.ptrace(request, task, None, None) == 0, (request, ctypes.get_errno())

        def stop(task):
            ptrace(INTERRUPT, task)
            os.waitpid(task, WALL)

        def sleeps_for_a_mutex(task):
            # A futex of the ladder's (FUTEX_WAIT_BITSET, private), waiting for a word that says "taken".
            try:
                words = open(tasks + str(task) + "/syscall").read().split()
            except OSError:
                return False
            return len(words) > 3 and words[0] in ("202", "98") and words[2] == "0x89" and words[3] == "0x1"

        def computes(task):
            # And is not in the kernel, where it waits for the next request and holds nothing.
            return open(tasks + str(task) + "/syscall").read().startswith("-1 ")

        def load(socket, request):
            # What is answered takes locks. The clients' own speed is what limits how often.
            url = "http://agent/" + request + "#[1-100000000]"
            return subprocess.Popen(["curl", "-s", "-o", "/dev/null", "--unix-socket", "/run/agent/" + socket, url])

        def ask(*command):
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def answer(process):
            output, errors = process.communicate(timeout=20)
            return {"code": process.returncode, "output": output, "errors": errors}

        # Not v1/locks: the one lock that must not be the one that is held is the registry's.
        loads = [load("status.sock", path) for path in ("v1/status", "v1/sources") for _ in range(4)]
        time.sleep(0.2)
        names = {int(task): open(tasks + task + "/comm").read().strip() for task in os.listdir(tasks)}
        holder = next(task for task, name in names.items() if name == "agent-worker-0")
        ptrace(SEIZE, holder)
        others = [task for task in names if task != holder]
        end = time.monotonic() + 60
        tries = 0
        while True:
            if time.monotonic() > end:
                for process in loads:
                    process.kill()
                sys.exit("no thread ever waited for the one that was stopped, %d times" % tries)
            tries += 1
            stop(holder)
            found = []
            if computes(holder):
                # On a busy host the others need a moment to get that far.
                time.sleep(0.01)
                found = [task for task in others if sleeps_for_a_mutex(task)]
            if found:
                began = time.monotonic()
                # It may be held by another one, who does not get CPU time for a moment; or the one that was stopped has
                # let go of it, but not yet woken anybody, which the main thread does within a second. Meanwhile all
                # that answer come to wait, too.
                for _ in range(60):
                    time.sleep(0.02)
                    found = [task for task in found if sleeps_for_a_mutex(task)]
                    if not found:
                        break
                if found:
                    break
            ptrace(CONT, holder)
            time.sleep(0.001)
        waiter = found[0]
        asked = {
            "text": ask("agentctl", "--timeout", "2s", "locks"),
            "json": ask("agentctl", "--timeout", "2s", "-o", "json", "locks"),
            "watch": ask("agentctl", "--timeout", "2s", "locks", "--watch=200ms", "--count", "2"),
            "status": ask("agentctl", "--timeout", "500ms", "status"),
            "doctor": ask("agentctl", "--timeout", "500ms", "-o", "json", "doctor"),
            "read": ask("curl", "-sS", "-m", "1", "--unix-socket", "/run/agent/config.sock", "http://agent/v1/config/version"),
            "metrics": ask("curl", "-sS", "-m", "5", "--unix-socket", "/run/agent/locks.sock", "http://agent/metrics"),
            "bundle": ask("agentctl", "--timeout", "1s", "-o", "json", "support-bundle", "/root/%s.tar.gz" % waiter),
        }
        meanwhile = {name: answer(process) for name, process in asked.items()}
        # Where everybody was, for whoever has to find out why an answer is missing.
        meanwhile["threads"] = {name: open(tasks + str(task) + "/syscall").read() for task, name in names.items()}
        time.sleep(max(0, began + hold - time.monotonic()))
        if wait:
            ptrace(SEIZE, waiter)
            stop(waiter)
        released = time.monotonic()
        ptrace(CONT, holder)
        if wait:
            time.sleep(wait)
            ptrace(CONT, waiter)
        resumed = time.monotonic()
        for process in loads:
            process.kill()
            process.wait()
        print(json.dumps({"held": released - began, "waiterStopped": resumed - released if wait else 0,
                          "waiter": waiter, "tries": tries, "meanwhile": meanwhile}))
        """

    private func freeze(_ host: Host, hold: Double, wait: Double) throws -> Deed {
        try host.container.write("/root/freezer.py", Self.freezer)
        let process = try host.container.property("MainPID", of: "agent")
        let output = try host.container.shell(
            "python3 /root/freezer.py \(process) \(hold) \(wait)",
            timeout: .seconds(90)
        )
        try #require(output.code == 0, "\(output)")
        let deed = try JSONValue(parsing: output.standardOutput)
        return Deed(
            meanwhile: deed["meanwhile"],
            held: try #require(deed["held"].double),
            waiterStopped: try #require(deed["waiterStopped"].double),
            waiter: try #require(deed["waiter"].int)
        )
    }

    /// Within a tenth, and a moment for the stopping itself.
    private func agrees(_ microseconds: Int, _ seconds: Double) -> Bool {
        abs(Double(microseconds) / 1e6 - seconds) <= seconds / 10
    }

    /// The longest wait in the journal.
    private func record(_ host: Host) throws -> JSONValue {
        let records = try host.container.journal("-u agent MESSAGE_ID=\(MessageID.lockContended)")
        return try #require(
            records.max {
                Int($0["AGENT_WAIT_US"].string ?? "") ?? 0 < Int($1["AGENT_WAIT_US"].string ?? "") ?? 0
            }
        )
    }

    private func number(_ record: JSONValue, _ field: String) throws -> Int {
        try #require(record[field].string.flatMap { Int($0) }, "\(field) of \(record)")
    }

    private struct Told: Equatable {
        var lock: String
        var waiter: String
        var holder: String
    }

    /// While the lock was held nobody answered at `status.sock`, and yet all was to be had.
    ///
    /// - Returns: what all who were asked agreed on.
    private func expectTold(_ meanwhile: JSONValue) throws -> Told {
        func said(_ name: String, _ stream: String = "output") -> String { meanwhile[name][stream].string ?? "" }
        #expect(meanwhile["status"]["code"].int == 4, "\(meanwhile["status"])")
        let note = "the agent's workers do not answer; these figures come from its locks.sock"
        // What the catalog says of it: reads wait, too, and doctor points to where the reason is.
        #expect(meanwhile["read"]["code"].int == 28, "\(meanwhile["read"])")
        let doctor = try JSONValue(parsing: said("doctor"))
        let answers = try #require(doctor["checks"].array.first { $0["id"].string == "agent.answers" })
        #expect(answers["result"].string == "fail")
        #expect(answers["advice"].string?.contains("journalctl -u agent AGENT_EVENT=lock_stuck") == true)
        for name in ["text", "json"] {
            #expect(meanwhile[name]["code"].int == 0)
            #expect(said(name, "errors") == "agentctl: \(note)\n", "\(name) \(meanwhile["threads"])")
        }

        let shown = try #require(JSONValue(parsing: said("json"))["locks"].array.first)
        let lock = try #require(shown["name"].string)
        let waiter = try #require(shown["waiting_site"].string)
        let holder = try #require(shown["holding_site"].string)
        #expect(try #require(shown["waiting"].int) >= 1)
        #expect(try #require(shown["waiting_us"].int) > 400_000)
        #expect(waiter.contains(".swift:") && holder.contains(".swift:"))

        // Lines are broken where they get too long.
        let told = "at \(waiter); held by \(holder)"
        for name in ["text", "watch"] {
            let words = said(name).split(whereSeparator: \.isWhitespace).joined(separator: " ")
            #expect(words.contains("waiting now: ") && words.contains(told), "\(said(name))")
        }
        #expect(said("text").split(separator: "\n").dropFirst().first?.hasPrefix(lock) == true, "the worst is first")
        #expect(said("watch").components(separatedBy: note).count == 3, "above each table")

        let age = said("metrics").split(separator: "\n").first {
            $0.hasPrefix("config_agent_lock_waiting_seconds{lock=\"\(lock)\"") && !$0.hasSuffix(" 0")
        }
        #expect(age?.contains("site=\"\(waiter)\",holder=\"\(holder)\"") == true, "\(age ?? "")")

        let entries = try JSONValue(parsing: said("bundle"))["entries"].array.compactMap(\.string)
        #expect(entries.contains("locks.json") && entries.contains("metrics.txt"))
        #expect(entries.contains("status.json.error"))
        return Told(lock: lock, waiter: waiter, holder: holder)
    }

    @Test(
        "journal, agentctl locks and metrics name the same lock and places, and agree on the wait",
        arguments: [0.0, 1.5]
    )
    func frozen(waiterStoppedFor wait: Double) throws {
        let host = try Host()
        try host.start()
        let deed = try freeze(host, hold: 2, wait: wait)
        let waited = deed.held + deed.waiterStopped

        let record = try waitFor("the record", deadline: .seconds(10)) { () -> JSONValue? in
            let found = try? self.record(host)
            return try found.flatMap { try number($0, "AGENT_WAIT_US") > 1_000_000 ? $0 : nil }
        }
        let lock = try #require(record["AGENT_LOCK"].string)
        let waiter = try #require(record["AGENT_WAITER_SITE"].string)
        let holder = try #require(record["AGENT_HOLDER_SITE"].string)
        #expect(agrees(try number(record, "AGENT_WAIT_US"), waited), "\(record) \(deed)")
        let (hold, wake) = (try number(record, "AGENT_HOLD_US"), try number(record, "AGENT_WAKE_US"))
        #expect(abs(hold + wake - (try number(record, "AGENT_WAIT_US"))) <= 2)
        // What is a hold and what a wake-up in this depends on where exactly the two were stopped: a thread that is
        // stopped in its sleep is woken by nobody, and others take the lock in turn meanwhile.
        #expect(Double(hold) / 1e6 <= waited * 1.1, "\(record["MESSAGE"]) \(deed)")
        #expect(try number(record, "TID") > 0)
        #expect(waiter.contains(".swift:") && holder.contains(".swift:"))
        let told = try expectTold(deed.meanwhile)
        // Where a waiter was stopped, its wait is the longest, which need not be the one that began first.
        if wait == 0 { #expect(told == Told(lock: lock, waiter: waiter, holder: holder)) }

        // That advice leads somewhere.
        let stuck = try host.container.journal("-u agent AGENT_EVENT=lock_stuck")
        let ofLock = stuck.filter { $0["AGENT_LOCK"].string == told.lock }
        #expect(ofLock.contains { $0["AGENT_HOLDER_SITE"].string == told.holder }, "\(stuck)")

        let report = try JSONValue(parsing: host.container.check("agentctl -o json locks"))
        let shown = try #require(report["locks"].array.first { $0["name"].string == lock })
        #expect(agrees(try #require(shown["wait_max_us"].int), waited))
        #expect(shown["wait_max_site"].string == waiter)
        #expect(shown["wait_max_holder_site"].string == holder)
        #expect(try #require(shown["wake_latency_max_us"].int) >= wake)
        // Not where others had the lock before the waiter ran, nor where the holder was stopped between the taking and
        // the counting of it, and so counts as one of them.
        if try wait == 0 && number(record, "AGENT_TAKEN_MEANWHILE") == 0 {
            #expect(agrees(hold, deed.held), "\(record) \(deed)")
            #expect(agrees(try #require(shown["hold_max_us"].int), deed.held), "\(shown) \(deed)")
            #expect(shown["holder_site"].string == holder)
        }
        #expect(
            try host.container.check("agentctl locks").split(separator: "\n")[1].contains(lock),
            "the worst is first"
        )

        let metrics = try host.container.check("curl -s --unix-socket /run/agent/status.sock http://agent/metrics")
        let worst = try #require(
            metrics.split(separator: "\n").first {
                $0.hasPrefix("config_agent_lock_wait_max_seconds{") && $0.contains("lock=\"\(lock)\"")
            }
        )
        #expect(worst.contains("site=\"\(waiter)\"") && worst.contains("holder=\"\(holder)\""))
        let seconds = try #require(worst.split(separator: " ").last.flatMap { Double($0) })
        #expect(agrees(Int(seconds * 1e6), waited))
    }
}
