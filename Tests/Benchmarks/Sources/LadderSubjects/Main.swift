import Glibc

/// One way to do the operation of one case.
struct Subject: Sendable {
    let name: String
    let measure: @Sendable (Options) throws(UsageError) -> Report

    init(_ name: String, _ measure: @escaping @Sendable (Options) throws(UsageError) -> Report) {
        self.name = name
        self.measure = measure
    }
}

/// Measures one rung of the ladder, or what Swift has in its place, once, and prints one line of JSON.
@main
struct LadderSubjects {
    private static let cases: [(name: String, subjects: [Subject])] = [
        ("snapshot-read", SnapshotReading.subjects),
        ("snapshot-publish", SnapshotPublishing.subjects),
        ("mutex", MutualExclusion.subjects),
        ("rw-read", ReadLocks.subjects),
        ("rw-write", WriteLocks.subjects),
        ("flight-alone", FlightAlone.subjects),
        ("flight-crowd", FlightCrowd.subjects),
        ("three-stage", ThreeStages.subjects),
        ("counter", Counting.subjects),
        ("key", KeyLookup.subjects),
        ("map", MapLookup.subjects),
        ("once", OnceReading.subjects),
        ("pool", Pooling.subjects),
    ]

    private static let usage = "ladder-subjects --list | ladder-subjects CASE SUBJECT [key=value]..."

    static func main() {
        // Whatever hangs, the driver does not wait for ever.
        alarm(30)
        let arguments = CommandLine.arguments.dropFirst()
        if Array(arguments) == ["--list"] {
            for (name, subjects) in cases {
                for subject in subjects { print(name, subject.name) }
            }
            return
        }
        do throws(UsageError) {
            guard arguments.count >= 2 else { throw UsageError(usage) }
            let (name, subjectName) = (arguments[1], arguments[2])
            guard let found = cases.first(where: { $0.name == name }) else { throw UsageError("unknown case: \(name)") }
            guard let subject = found.subjects.first(where: { $0.name == subjectName }) else {
                throw UsageError("unknown subject of \(name): \(subjectName)")
            }
            print(try subject.measure(Options(arguments.dropFirst(2))).json(name, subjectName))
        } catch {
            let message = Array("ladder-subjects: \(error.message)\n".utf8)
            _ = write(STDERR_FILENO, message, message.count)
            exit(EX_USAGE)
        }
    }
}
