internal import Foundation

/// A directory that is gone when the test is over.
public final class TemporaryDirectory: @unchecked Sendable {
    /// Where it is.
    public let path: String

    public init(prefix: String = "config-agent-test") throws {
        let base = ProcessInfo.processInfo.environment["TMPDIR"] ?? "/tmp"
        var template = Array("\(base)/\(prefix).XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemCallError("mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// The path of something in it.
    public func path(_ name: String) -> String { "\(path)/\(name)" }

    /// Puts a file in place, in one step for those who read it.
    @discardableResult
    public func write(_ name: String, _ text: String) throws -> String {
        try write(name, Array(text.utf8))
    }

    /// Puts a file in place, in one step for those who read it.
    @discardableResult
    public func write(_ name: String, _ bytes: [UInt8]) throws -> String {
        let target = path(name)
        try createDirectory((target as NSString).deletingLastPathComponent)
        try Data(bytes).write(to: URL(fileURLWithPath: target + ".new"))
        guard rename(target + ".new", target) == 0 else { throw SystemCallError("rename \(target)") }
        return target
    }
}

/// Makes a directory and those above it.
public func createDirectory(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
}

/// The text of a file; empty when it cannot be read.
public func readText(_ path: String) -> String {
    guard let data = FileManager.default.contents(atPath: path) else { return "" }
    return String(decoding: data, as: UTF8.self)
}

/// The bytes as gzip packs them.
public func gzipped(_ bytes: [UInt8]) throws -> [UInt8] {
    let directory = try TemporaryDirectory()
    let file = try directory.write("plain", bytes)
    try Program.check(["gzip", "-9", "-n", file])
    return [UInt8](try Data(contentsOf: URL(fileURLWithPath: file + ".gz")))
}

/// Where things of the package are.
public enum Workspace {
    /// The directory with the Makefile.
    public static let root: String = {
        var directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        while directory.path != "/" {
            let makefile = directory.appendingPathComponent("Makefile").path
            if FileManager.default.fileExists(atPath: makefile) { return directory.path }
            directory.deleteLastPathComponent()
        }
        return FileManager.default.currentDirectoryPath
    }()

    /// The directory that the test bundle was built into, and the programs with it.
    public static let products: String = {
        if let named = ProcessInfo.processInfo.environment["AGENT_PRODUCTS"] { return named }
        let executable = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        let arguments = CommandLine.arguments
        if let flag = arguments.firstIndex(of: "--test-bundle-path"), flag + 1 < arguments.count {
            return (arguments[flag + 1] as NSString).deletingLastPathComponent
        }
        return (executable as NSString).deletingLastPathComponent
    }()

    /// Whether a runner executes this: then nothing may be skipped for want of a tool or a right.
    public static let isContinuousIntegration = ProcessInfo.processInfo.environment["CI"] != nil
}
