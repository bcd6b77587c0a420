import BenchKit
import Foundation

/// Puts a run's figures where people read them, so that none is ever typed: pictures, and the tables between
/// `<!-- figures: NAME -->` and `<!-- /figures -->` in the documentation.
enum Figures {
    struct Unknown: Error, CustomStringConvertible {
        let description: String
    }

    private static let pictures = "Sources/LockLadder/LockLadder.docc/Resources"
    private static let texts = ["README.md", "Sources/LockLadder/LockLadder.docc"]

    /// - Returns: `false` when only checking and something differs.
    static func make(from results: Results, below root: URL, onlyChecking: Bool) throws -> Bool {
        var files = [
            "\(pictures)/ladder.svg": Pictures.ladder(results),
            "\(pictures)/growth.svg": Pictures.growth(results),
        ]
        for path in try texts.flatMap({ try markdown(at: $0, below: root) }) {
            let text = try String(contentsOf: root.appending(path: path), encoding: .utf8)
            files[path] = try filled(text, with: results, in: path)
        }
        var isSame = true
        for (path, text) in files.sorted(by: { $0.key < $1.key }) {
            let file = root.appending(path: path)
            if (try? String(contentsOf: file, encoding: .utf8)) == text { continue }
            isSame = false
            if onlyChecking {
                print("\(path) is not what the results give: run `make figures`")
            } else {
                try FileManager.default.createDirectory(
                    at: file.deletingLastPathComponent(),
                    withIntermediateDirectories: true
                )
                try text.write(to: file, atomically: true, encoding: .utf8)
                print("written: \(path)")
            }
        }
        return isSame || !onlyChecking
    }

    private static func markdown(at path: String, below root: URL) throws -> [String] {
        guard !path.hasSuffix(".md") else { return [path] }
        return try FileManager.default.contentsOfDirectory(atPath: root.appending(path: path).path)
            .filter { $0.hasSuffix(".md") }.sorted().map { "\(path)/\($0)" }
    }

    /// The text with its tables made anew.
    private static func filled(_ text: String, with results: Results, in path: String) throws -> String {
        let opening = "<!-- figures: "
        let closing = "<!-- /figures -->"
        var filled = ""
        var rest = text[...]
        while let start = rest.range(of: opening) {
            guard let nameEnd = rest.range(of: " -->", range: start.upperBound..<rest.endIndex),
                let end = rest.range(of: closing, range: nameEnd.upperBound..<rest.endIndex)
            else { throw Unknown(description: "\(path): a table is opened and not closed") }
            let name = String(rest[start.upperBound..<nameEnd.lowerBound])
            guard let table = Tables.named(name, results) else {
                throw Unknown(description: "\(path): there are no figures called \(name)")
            }
            filled += rest[..<nameEnd.upperBound] + "\n" + table + "\n" + closing
            rest = rest[end.upperBound...]
        }
        return filled + rest
    }
}
