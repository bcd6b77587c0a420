/// What `agentctl support-bundle` shows once the archive is written.
public enum BundleText {
    /// Where it is, what it holds, and that it wants to be looked at.
    public static func render(
        path: String,
        contents: [(name: String, what: String, note: String?)],
        style: TextStyle
    ) -> String {
        let widest = contents.map(\.name.count).max() ?? 0
        var lines = ["wrote \(Printable.clean(path)), which holds:", ""]
        for entry in contents {
            let padding = String(repeating: " ", count: widest - entry.name.count)
            let note = entry.note.map { style.paint(" (\(Printable.clean($0)))", .doubtful) } ?? ""
            lines.append("  \(entry.name)\(padding)  \(Printable.clean(entry.what))\(note)")
        }
        lines += [
            "", "Values that services read are not in it, and known secrets were taken out.",
            "Look through it before you send it to anybody: tar xzf \(Printable.clean(path))",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
