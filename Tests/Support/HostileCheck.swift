/// A check command that does what it must not, and what is to come of that.
public struct HostileCheck: Sendable, CustomStringConvertible {
    public let description: String
    /// Of a script for bash; `SECRET` stands for a file of the agent's, `PORT` for a port of this machine where somebody
    /// listens, `SOCKET` for a socket of the agent's. It says yes when it could not do it.
    public let script: String
    /// What the refusal says, in one of these ways; empty where the answer is yes.
    public let reasons: [String]

    init(_ description: String, reasons: [String] = [], _ script: String) {
        self.description = description
        self.script = script
        self.reasons = reasons
    }

    /// Nothing that any of them starts goes by another name.
    public static let mark = "config-agent-hostile"

    public static let all: [HostileCheck] = [
        HostileCheck(
            "asks the network",
            """
            python3 - <<'EOF'
            import socket, sys
            for family, place in ((socket.AF_INET, ("127.0.0.1", PORT)), (socket.AF_UNIX, "SOCKET")):
                try:
                    end = socket.socket(family)
                    end.connect(place)
                    end.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                except OSError:
                    continue
                print("reached", place)
                sys.exit(1)
            EOF
            """
        ),
        HostileCheck(
            "has sockets without asking for one",
            // One that takes datagrams sends them to whatever name it likes, and what is on its way is nobody's memory.
            """
            python3 - <<'EOF'
            import socket, sys
            for kind in (socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
                try:
                    socket.socketpair(socket.AF_UNIX, kind)
                except OSError:
                    continue
                sys.exit("has a pair of sockets")
            EOF
            """
        ),
        HostileCheck(
            "writes",
            """
            for place in /tmp /var/tmp /dev/shm /etc / "$(dirname SECRET)" "$(dirname "$0")"; do
                if (: >"$place/MARK") 2>/dev/null; then echo "wrote to $place"; exit 1; fi
            done
            if (echo x >>/proc/self/fd/0) 2>/dev/null; then echo "changed the document"; exit 1; fi
            exit 0
            """
        ),
        HostileCheck("reads what is the agent's", #"if cat SECRET; then echo read; exit 1; fi; exit 0"#),
        HostileCheck(
            "looks into what runs it",
            """
            for file in mem environ maps; do
                if (: <"/proc/$PPID/$file") 2>/dev/null; then echo "opened $file"; exit 1; fi
            done
            if ls "/proc/$PPID/fd/" 2>/dev/null; then echo "saw what it has open"; exit 1; fi
            exit 0
            """
        ),
        HostileCheck(
            "multiplies",
            reasons: ["did not end", "processes", "fork", "signal", "was ended"],
            """
            bomb() { bomb | bomb & }
            bomb
            exec -a MARK sleep 1000
            """
        ),
        HostileCheck(
            "takes ten gigabytes",
            reasons: ["MemoryError", "MiB", "was ended", "signal"],
            #"exec -a MARK python3 -c 'b = b"x" * (10 << 30)'"#
        ),
        HostileCheck(
            "takes as much in many pieces",
            reasons: ["MemoryError", "MiB", "was ended", "signal", "did not end"],
            """
            for number in $(seq 20); do
                (exec -a MARK python3 -c 'import time; b = b"x" * (100 << 20); time.sleep(1000)') &
            done
            wait
            """
        ),
        HostileCheck(
            "takes memory that stays where nobody looks at it",
            reasons: ["MemoryError", "Cannot allocate", "MiB", "was ended", "signal", "did not end"],
            """
            exec -a MARK python3 -c 'import mmap, time
            kept = []
            for number in range(100):
                piece = mmap.mmap(-1, 64 << 20)
                for page in range(0, len(piece), 4096): piece[page] = 1
                piece.madvise(mmap.MADV_DONTNEED)
                kept.append(piece)
            time.sleep(1000)'
            """
        ),
        HostileCheck(
            "takes memory that outlives it, and keys",
            """
            python3 - <<'EOF'
            import ctypes, sys
            libc = ctypes.CDLL(None)
            if libc.shmget(0, 64 << 20, 0o1600) >= 0: sys.exit("made shared memory")
            if libc.msgget(0, 0o1600) >= 0: sys.exit("made a queue of messages")
            if libc.semget(0, 32000, 0o1600) >= 0: sys.exit("made semaphores")
            if libc.mq_open(b"/MARK", 0o102, 0o600, None) >= 0: sys.exit("made a queue of messages with a name")
            if libc.syscall(250 if sys.maxsize > 2**32 else 0, 0, -3, 0) >= 0: sys.exit("has keys")
            EOF
            """
        ),
        HostileCheck(
            "leaves something behind",
            """
            (setsid bash -c 'exec -a MARK sleep 1000' </dev/null >/dev/null 2>&1 &)
            exit 0
            """
        ),
        HostileCheck("never ends", reasons: ["did not end within 1500 ms"], "trap '' TERM; exec -a MARK sleep 1000"),
        HostileCheck("talks without end", reasons: ["did not end within 1500 ms"], "exec -a MARK yes MARK"),
        HostileCheck(
            "kills all that it can",
            reasons: ["signal", "was ended", "did not end", "killed"],
            """
            kill -9 $PPID
            kill -9 -1
            exec -a MARK sleep 1000
            """
        ),
    ]

    /// The script, ready to be written to a file.
    public func text(secret: String, port: UInt16, socket: String) -> String {
        let replaced = script.replacing("SECRET", with: secret).replacing("PORT", with: "\(port)")
            .replacing("SOCKET", with: socket).replacing("MARK", with: Self.mark)
        return "#!/bin/bash\n\(replaced)\n"
    }
}
