internal import Glibc

/// What is fuzzed, by name. Each takes any bytes, and fails where a property of what it feeds does not hold.
private let targets: [String: @Sendable ([UInt8]) -> Void] = [
    "json": fuzzJSON, "yaml": fuzzYAML, "number": fuzzNumber, "pattern": fuzzPattern, "schema": fuzzSchema,
    "trust": fuzzTrust, "store": fuzzStore, "http": fuzzHTTP, "etcd": fuzzEtcd, "consul": fuzzConsul,
    "nacos": fuzzNacos, "origin": fuzzOrigin,
]

/// Chosen by `FUZZ_TARGET`: one program is linked, and not twelve.
private let target: @Sendable ([UInt8]) -> Void = {
    let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
    guard let target = targets[name] else {
        fatalError("FUZZ_TARGET is '\(name)'; it has to be one of \(targets.keys.sorted().joined(separator: ", "))")
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // What is made once and kept for good is made now. Where a pointer to it carries an enum's mark, the search for leaks
    // takes it for none, and what it points to for lost.
    let isEarly = runs < 1_000
    if isEarly { ignoreLeaks() }
    target(Array(UnsafeBufferPointer(start: bytes, count: count)))
    if isEarly { heedLeaks() }
    runs += 1
    return 0
}

// SAFETY: libFuzzer runs one input after the other, on one thread.
nonisolated(unsafe) private var runs = 0

@_silgen_name("__lsan_disable")
private func ignoreLeaks()

@_silgen_name("__lsan_enable")
private func heedLeaks()

/// SwiftPM has the linker take this for `main`, in whose place libFuzzer's own would have been.
@_cdecl("fuzz_main")
public func fuzzMain(_ count: CInt, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> CInt {
    var (count, arguments) = (count, arguments)
    return runDriver(&count, &arguments, fuzzOne)
}

@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ target: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// Ends the process where `holds` is false: the input is kept, as for a crash.
func require(_ holds: Bool, _ message: @autoclosure () -> String) {
    if !holds { fatalError(message()) }
}

/// The parts of an input. They are parted by a byte that means nothing in any of what is fuzzed, and leaves text text.
func parts(of bytes: [UInt8], atMost count: Int = .max) -> [[UInt8]] {
    bytes.split(separator: 0x1E, maxSplits: count - 1, omittingEmptySubsequences: false).map(Array.init)
}

/// The same for the same bytes, in each run.
func mixed(_ bytes: [UInt8]) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
}
